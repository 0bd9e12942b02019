//! Checks of request bodies that go on after the first mistake, so that a caller sees all of them.
//!
//! A check is a function from a value to an [`Outcome`]; [`Fields`] applies checks to the keys of
//! one object, remembers which keys were asked for, and collects what was wrong with its path.

use crate::error::{FIELD_ERRORS_MAX, FieldError};
use podbay_core::limits;
use serde_json::{Map, Value};
use unicode_script::{Script, UnicodeScript};

/// A checked value, or what is wrong with it.
pub(crate) type Outcome<T> = Result<T, Wrong>;

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) struct Wrong {
    kind: &'static str,
    msg: String,
}

pub(crate) fn wrong(kind: &'static str, msg: impl Into<String>) -> Wrong {
    Wrong { kind, msg: msg.into() }
}

/// Longest foreign key that is repeated to its sender.
const KEY_CHARS_MAX: usize = 64;

/// The keys of one object, while they are read.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: Vec<String>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
}

/// Reads the object `body` with `read`, which must ask for every key before it gives up on one.
pub(crate) fn parse<T>(
    body: &Value,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Result<T, Vec<FieldError>> {
    let mut errors = Vec::new();
    let parsed = object(body, vec!["body".to_owned()], &mut errors, read);
    match parsed {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(errors),
    }
}

fn object<T>(
    value: &Value,
    path: Vec<String>,
    errors: &mut Vec<FieldError>,
    read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let Value::Object(map) = value else {
        push(errors, path, wrong("dict_type", "must be an object"));
        return None;
    };
    let mut fields = Fields { map, path, asked: Vec::new(), errors: std::mem::take(errors) };
    let parsed = read(&mut fields);
    *errors = fields.errors;
    parsed
}

fn push(errors: &mut Vec<FieldError>, loc: Vec<String>, wrong: Wrong) {
    if errors.len() < FIELD_ERRORS_MAX {
        errors.push(FieldError { loc, msg: wrong.msg, kind: wrong.kind.to_owned() });
    }
}

impl<'a> Fields<'a> {
    fn at(&self, key: &str) -> Vec<String> {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        path
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map.get(key)
    }

    fn missing<T>(&mut self, key: &str) -> Option<T> {
        let path = self.at(key);
        push(&mut self.errors, path, wrong("missing", "field required"));
        None
    }

    fn judge<T>(&mut self, key: &str, outcome: Outcome<T>) -> Option<T> {
        let path = self.at(key);
        outcome.map_err(|wrong| push(&mut self.errors, path, wrong)).ok()
    }

    /// A value that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        check: impl Fn(&Value) -> Outcome<T>,
    ) -> Option<T> {
        match self.take(key) {
            Some(value) => self.judge(key, check(value)),
            None => self.missing(key),
        }
    }

    /// A value that may be absent or null.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        check: impl Fn(&Value) -> Outcome<T>,
    ) -> Option<T> {
        match self.take(key) {
            None | Some(Value::Null) => None,
            Some(value) => self.judge(key, check(value)),
        }
    }

    /// An object that must be there.
    pub(crate) fn required_object<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            Some(value) => object(value, self.at(key), &mut self.errors, read),
            None => self.missing(key),
        }
    }

    /// An object that may be absent or null.
    pub(crate) fn optional_object<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(key) {
            None | Some(Value::Null) => None,
            Some(value) => object(value, self.at(key), &mut self.errors, read),
        }
    }

    /// A list that may be absent or null; each element is checked at its own path.
    pub(crate) fn optional_list<T>(
        &mut self,
        key: &'static str,
        count_max: usize,
        check: impl Fn(&Value) -> Outcome<T>,
    ) -> Option<Vec<T>> {
        let list = match self.take(key) {
            None | Some(Value::Null) => return None,
            Some(Value::Array(list)) => list,
            Some(_) => return self.judge(key, Err(wrong("list_type", "must be a list"))),
        };
        if list.len() > count_max {
            return self.judge(key, Err(wrong("too_long", format!("at most {count_max} are allowed"))));
        }
        let mut values = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let mut path = self.at(key);
            path.push(index.to_string());
            match check(value) {
                Ok(value) => values.push(value),
                Err(wrong) => push(&mut self.errors, path, wrong),
            }
        }
        Some(values)
    }

    /// Whether the key is there, null included: a change names only what it changes.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The raw value of a key that has several forms, and a way to complain about its parts.
    pub(crate) fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.take(key)
    }

    /// Complains about `key`, or about a part of it.
    pub(crate) fn complain(&mut self, key: &'static str, part: &[&str], wrong: Wrong) {
        let mut path = self.at(key);
        path.extend(part.iter().map(|step| shorten(step)));
        push(&mut self.errors, path, wrong);
    }

    /// Complains about every key that was not asked for.
    pub(crate) fn deny_others(&mut self) {
        let map = self.map;
        for key in map.keys().filter(|key| !self.asked.contains(&key.as_str())).take(FIELD_ERRORS_MAX) {
            let path = self.at(&shorten(key));
            push(&mut self.errors, path, wrong("extra_forbidden", "extra fields not permitted"));
        }
    }
}

fn shorten(key: &str) -> String {
    if key.chars().count() <= KEY_CHARS_MAX {
        return key.to_owned();
    }
    key.chars().take(KEY_CHARS_MAX).chain(['…']).collect()
}

/// Any string within `bytes_max`.
pub(crate) fn text_bytes(value: &Value, bytes_max: usize) -> Outcome<String> {
    let text = value.as_str().ok_or_else(|| wrong("string_type", "must be a string"))?;
    if text.len() > bytes_max {
        return Err(wrong("string_too_long", format!("must have at most {bytes_max} bytes")));
    }
    Ok(text.to_owned())
}

/// A short string of printable characters.
pub(crate) fn text(value: &Value) -> Outcome<String> {
    let text = value.as_str().ok_or_else(|| wrong("string_type", "must be a string"))?;
    if text.chars().count() > limits::NAME_CHARS_MAX {
        let msg = format!("must have at most {} characters", limits::NAME_CHARS_MAX);
        return Err(wrong("string_too_long", msg));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("string_pattern_mismatch", "must have no control characters"));
    }
    if text.chars().any(is_deceptive) {
        let msg = "must have no invisible characters, and none that change the direction of text";
        return Err(wrong("string_pattern_mismatch", msg));
    }
    Ok(text.to_owned())
}

/// Characters that nobody sees, but that make two names look alike or text read in another order: all that
/// Unicode calls ignorable by default, and the pattern of Braille without a dot.
fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Alphabets with letters that look like those of another one.
const LOOK_ALIKES: [Script; 5] =
    [Script::Latin, Script::Greek, Script::Cyrillic, Script::Armenian, Script::Cherokee];

/// Whether a word has letters of two alphabets that look alike: nobody writes such a word, and nobody can tell it
/// from the one that it imitates.
fn is_mixed(word: &str) -> bool {
    let mut alphabets = word.chars().map(|letter| letter.script()).filter(|one| LOOK_ALIKES.contains(one));
    let first = alphabets.next();
    alphabets.any(|one| Some(one) != first)
}

/// What a person reads and tells from others: a short string of printable characters.
pub(crate) fn label(value: &Value) -> Outcome<String> {
    let text = text(value)?;
    if text.split(|letter: char| !letter.is_alphanumeric()).any(is_mixed) {
        let msg =
            "must not mix letters of alphabets that look alike, such as Latin and Cyrillic, in one word";
        return Err(wrong("string_pattern_mismatch", msg));
    }
    Ok(text)
}

/// The same, and not blank.
pub(crate) fn name(value: &Value) -> Outcome<String> {
    let text = label(value)?;
    if text.trim().is_empty() {
        return Err(wrong("string_too_short", "must not be empty"));
    }
    Ok(text)
}

/// A whole number from 1 to `max`. `2.0` is one; `2.5` and `"2"` are not.
pub(crate) fn count(max: u32) -> impl Fn(&Value) -> Outcome<u32> {
    move |value| {
        let number = value.as_f64().ok_or_else(|| wrong("int_type", "must be a whole number"))?;
        if number.fract() != 0.0 {
            return Err(wrong("int_from_float", "must be a whole number"));
        }
        if number < 1.0 {
            return Err(wrong("greater_than_equal", "must be at least 1"));
        }
        if number > f64::from(max) {
            return Err(wrong("less_than_equal", format!("must be at most {max}")));
        }
        Ok(number as u32)
    }
}

/// A number that is not negative.
pub(crate) fn amount(value: &Value) -> Outcome<f64> {
    let number = value.as_f64().ok_or_else(|| wrong("float_type", "must be a number"))?;
    if !number.is_finite() || number < 0.0 {
        return Err(wrong("greater_than_equal", "must be at least 0"));
    }
    Ok(number)
}

/// A boolean.
pub(crate) fn flag(value: &Value) -> Outcome<bool> {
    value.as_bool().ok_or_else(|| wrong("bool_type", "must be true or false"))
}

/// Spellings that a message lists in full.
const SPELLINGS_LISTED_MAX: usize = 12;

/// A value of a published enumeration.
pub(crate) fn one_of<T: Copy>(
    all: &'static [T],
    parse: fn(&str) -> Option<T>,
    spell: fn(T) -> &'static str,
) -> impl Fn(&Value) -> Outcome<T> {
    move |value| {
        let text = value.as_str().ok_or_else(|| wrong("string_type", "must be a string"))?;
        parse(text).ok_or_else(|| {
            if all.len() > SPELLINGS_LISTED_MAX {
                return wrong("enum", "is none of the published values; take it from the offer");
            }
            let spellings: Vec<&str> = all.iter().map(|value| spell(*value)).collect();
            wrong("enum", format!("must be one of {}", spellings.join(", ")))
        })
    }
}
