//! Splits a command line the way a shell would, for images that have no shell.
//!
//! Only words and quoting: no variables, globs, pipes or redirections. A command that uses those
//! runs with the characters taken literally, which is what `exec` of the words means.

/// The words of `line`. Fails on an unfinished quote or escape.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' | b'\n' => words.extend(word.take()),
            b'\'' => single_quoted(&mut rest, word.get_or_insert_default())?,
            b'"' => double_quoted(&mut rest, word.get_or_insert_default())?,
            b'\\' => {
                let escaped = rest.next().ok_or("the command ends in a backslash")?;
                if escaped != b'\n' {
                    word.get_or_insert_default().push(escaped);
                }
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(rest: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match rest.next().ok_or("the command has an unfinished ' quote")? {
            b'\'' => return Ok(()),
            byte => word.push(byte),
        }
    }
}

fn double_quoted(rest: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Result<(), &'static str> {
    const UNFINISHED: &str = "the command has an unfinished \" quote";
    loop {
        match rest.next().ok_or(UNFINISHED)? {
            b'"' => return Ok(()),
            b'\\' => match rest.next().ok_or(UNFINISHED)? {
                b'\n' => {}
                byte @ (b'"' | b'\\' | b'$' | b'`') => word.push(byte),
                byte => word.extend([b'\\', byte]),
            },
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).unwrap();
        words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words("  a \t b\nc "), ["a", "b", "c"]);
        assert!(words("   ").is_empty());
    }

    #[test]
    fn quotes_keep_words_together_and_may_be_empty() {
        assert_eq!(words(r#"a'b c'd "e f" ''"#), ["ab cd", "e f", ""]);
        assert_eq!(words(r#""a\"b\\c\d" 'x\y'"#), [r#"a"b\c\d"#, r"x\y"]);
    }

    #[test]
    fn backslash_takes_the_next_byte() {
        assert_eq!(words("a\\ b \\'c"), ["a b", "'c"]);
        assert_eq!(words("a\\\nb"), ["ab"]);
    }

    #[test]
    fn unfinished_is_an_error() {
        for line in ["'a", "\"a", "a\\", "\"a\\"] {
            assert!(split(line.as_bytes()).is_err(), "{line}");
        }
    }
}
