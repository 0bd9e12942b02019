//! Rust source without what only looks like code.

/// The same text, every line in its place, with the contents of comments, strings and character literals
/// replaced by spaces. Enough to count braces and to search for words; it is not a parser.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if !is_word(&chars, at) => match raw_end(&chars, at) {
                Some(end) => end,
                None => keep(&chars, &mut at, &mut out),
            },
            '\'' => match literal_end(&chars, at) {
                Some(end) => end,
                None => keep(&chars, &mut at, &mut out),
            },
            _ => keep(&chars, &mut at, &mut out),
        };
        for hidden in &chars[at..end] {
            out.push(if *hidden == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    out
}

/// Copies one character; the caller then has nothing to hide.
fn keep(chars: &[char], at: &mut usize, out: &mut String) -> usize {
    out.push(chars[*at]);
    *at += 1;
    *at
}

/// Whether the character before belongs to the same word. `br"…"` counts as its own start.
fn is_word(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| chars[index]);
    let is_byte = before == Some('b') && !at.checked_sub(2).is_some_and(|index| part_of_word(chars[index]));
    before.is_some_and(part_of_word) && !is_byte
}

fn part_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0usize;
    let mut index = at;
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// `r"…"` or `r##"…"##`; `None` for a word that begins with r.
fn raw_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let mut index = at + 2 + hashes;
    while index < chars.len() {
        let is_close =
            chars[index] == '"' && chars[index + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        if is_close {
            return Some(index + 1 + hashes);
        }
        index += 1;
    }
    Some(chars.len())
}

/// `'x'`, `'\n'`, `'\u{1F600}'`; `None` for a lifetime.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars.get(at + 3..)?.iter().position(|c| *c == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

pub struct Function {
    pub name: String,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

/// Every function with a body, wherever it is nested. Takes the result of [`code_only`].
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_start = !code[..at].chars().next_back().is_some_and(part_of_word);
        let name: String = code[at + 3..].trim_start().chars().take_while(|c| part_of_word(*c)).collect();
        if !is_start || name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(&code[at..]) {
            let lines = code[at..at + length].matches('\n').count() + 1;
            found.push(Function { name, lines });
        }
    }
    found
}

/// The length up to the brace that closes the body; `None` for a declaration.
fn body_end(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0i32, 0i32);
    for (index, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if round == 0 && curly == 0 => return None,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly == 0 && round == 0 {
                    return Some(index + 1);
                }
                if curly < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{code_only, functions};

    #[test]
    fn hides_what_is_not_code_and_keeps_the_lines() {
        let text =
            "let a = \"}{\\\"\"; // }\n/* { /* } */ */ let b = '{'; let c: &'static str = r#\"\"}\"#;\n";
        let code = code_only(text);
        assert_eq!(code.matches(['{', '}']).count(), 0, "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("let c: &'static str ="), "{code}");
        assert_eq!(code_only("br\"{\"; bar; '\\''; '\\u{1}'").replace(' ', ""), "b;bar;;");
    }

    #[test]
    fn measures_from_the_signature_to_the_brace() {
        let text = "trait T { fn none(&self) -> [u8; 2]; }\nfn one() {}\n\
                    impl X {\n  fn two(a: [u8; 3])\n  {\n    if a { b }\n  }\n}\n";
        let seen: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(seen, [("one".to_owned(), 1), ("two".to_owned(), 4)]);
    }
}
