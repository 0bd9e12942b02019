//! Text from elsewhere, made safe to print.
//!
//! A pod's name or log may carry control sequences that move the cursor, rename the window or
//! hide what follows. Nothing that a server sent reaches a terminal without passing here.

/// `text` on one line, with every character that would do something made visible.
pub fn line(text: &str) -> String {
    escape(text, |_| false, |c| c.escape_default().to_string())
}

/// The same for the text of a JSON document: its own line ends stay, and what JSON leaves as it is
/// though terminals act on it becomes an escape that JSON understands.
pub fn json(text: &str) -> String {
    escape(text, |c| c == '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

/// The same for a line of a log, where tabs are harmless.
pub fn log(text: &str) -> String {
    escape(text, |c| c == '\t', |c| c.escape_default().to_string())
}

fn escape(text: &str, keep: fn(char) -> bool, spell: fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) || !acts(c) {
            out.push(c);
        } else {
            out.push_str(&spell(c));
        }
    }
    out
}

/// Control characters, and those that reorder or hide what stands around them.
fn acts(c: char) -> bool {
    let invisible = ['\u{200b}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{200e}', '\u{200f}', '\u{61c}'];
    c.is_control()
        || invisible.contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_becomes_visible_and_the_rest_stays() {
        assert_eq!(line("é ✓ a\tb"), "é ✓ a\\tb");
        assert_eq!(line("a\u{1b}[2Jb\r\nc\u{9b}x\u{202e}"), "a\\u{1b}[2Jb\\r\\nc\\u{9b}x\\u{202e}");
        assert_eq!(log("a\tb\u{7}"), "a\tb\\u{7}");
        let text = serde_json::to_string_pretty(&["\u{1b}", "\u{9b}\u{202e}é"]).unwrap();
        let safe = json(&text);
        assert_eq!(safe, "[\n  \"\\u001b\",\n  \"\\u009b\\u202eé\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), ["\u{1b}", "\u{9b}\u{202e}é"]);
    }
}
