//! The part of YAML that device specifications are written in.
//!
//! NVIDIA's tools write their specification as block YAML by default: maps, lists, and scalars on
//! one line, plain or quoted. That is read here, into JSON values whose scalars are all strings;
//! everything else (anchors, block scalars, nested flow collections) is an error and not a guess.

use serde_json::{Map, Value};

const DEPTH_MAX: usize = 32;

/// The value of a document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start_matches(' ');
        if content.starts_with('\t') {
            return Err(format!("line {}: a tab", number + 1));
        }
        if !content.trim().is_empty() && !content.starts_with('#') && content != "---" {
            lines.push(Line {
                number: number + 1,
                indent: line.len() - content.len(),
                text: content.trim_end(),
            });
        }
    }
    let mut reader = Reader { lines, at: 0 };
    let Some(first) = reader.lines.first() else { return Ok(Value::Null) };
    let indent = first.indent;
    let value = reader.block(indent, 0)?;
    match reader.lines.get(reader.at) {
        Some(line) => Err(line.wrong("indented otherwise than its neighbours")),
        None => Ok(value),
    }
}

#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

impl Line<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("line {}: {what}", self.number)
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The line at the cursor, if it belongs to a block of that indentation.
    fn line(&self, indent: usize) -> Option<Line<'a>> {
        self.lines.get(self.at).copied().filter(|line| line.indent == indent)
    }

    fn block(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        match self.line(indent) {
            Some(line) if depth > DEPTH_MAX => Err(line.wrong("nested too deep")),
            Some(line) if line.is_item() => self.list(indent, depth),
            Some(_) => self.map(indent, depth),
            None => Ok(Value::Null),
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some(line) = self.line(indent).filter(Line::is_item) {
            let rest = line.text[1..].trim_start_matches(' ');
            if rest.is_empty() {
                self.at += 1;
                items.push(self.inner(indent, depth)?);
            } else if split_key(rest).is_some() || rest.starts_with("- ") {
                // The item is a block that begins on this line.
                let inner = indent + line.text.len() - rest.len();
                self.lines[self.at] = Line { indent: inner, text: rest, ..line };
                items.push(self.block(inner, depth + 1)?);
            } else {
                self.at += 1;
                items.push(scalar(rest).map_err(|what| line.wrong(what))?);
            }
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        while let Some(line) = self.line(indent).filter(|line| !line.is_item()) {
            let (key, rest) = split_key(line.text).ok_or_else(|| line.wrong("neither a list nor a map"))?;
            let key = scalar(key).map_err(|what| line.wrong(what))?;
            self.at += 1;
            let value = if !rest.is_empty() {
                scalar(rest).map_err(|what| line.wrong(what))?
            } else if self.line(indent).is_some_and(|next| next.is_item()) {
                // A list may be indented like the key that it belongs to.
                self.list(indent, depth + 1)?
            } else {
                self.inner(indent, depth)?
            };
            map.insert(key.as_str().unwrap_or_default().to_owned(), value);
        }
        Ok(Value::Object(map))
    }

    /// What follows, if it is indented deeper.
    fn inner(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        match self.lines.get(self.at).map(|line| line.indent) {
            Some(deeper) if deeper > indent => self.block(deeper, depth + 1),
            _ => Ok(Value::Null),
        }
    }
}

/// `key: value` or `key:`. A colon without a space after it belongs to the text.
fn split_key(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['"', '\'']) {
        return None;
    }
    match text.split_once(": ") {
        Some((key, rest)) => Some((key, rest.trim())),
        None => text.strip_suffix(':').map(|key| (key, "")),
    }
}

fn scalar(text: &str) -> Result<Value, &'static str> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'').ok_or("an open quote")?;
        return Ok(Value::String(inner.replace("''", "'")));
    }
    if text.starts_with('"') {
        // The escapes of JSON are the ones that are used.
        return serde_json::from_str::<String>(text)
            .map(Value::String)
            .map_err(|_| "a quote that cannot be read");
    }
    match text {
        "[]" => Ok(Value::Array(Vec::new())),
        "{}" => Ok(Value::Object(Map::new())),
        "null" | "~" => Ok(Value::Null),
        _ if text.starts_with(['[', '{', '&', '*', '!', '|', '>', '%', '@', '`']) => Err("too much YAML"),
        _ => Ok(Value::String(text.split(" #").next().unwrap_or_default().trim_end().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_tools_write_is_read() {
        let text = r#"---
# made by a tool
cdiVersion: 0.5.0
containerEdits:
  env:
  - A=b:c
  - X=void
  hooks:
  - args:
    - hook
    - --link
    - a.so.1::/usr/lib/a.so
    hookName: createContainer
  mounts: []
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/x0
  name: "0"
- name: 'GPU-''1'
  containerEdits:

    deviceNodes:
      -
        path: /dev/x1 # the second
kind: a.com/gpu
"#;
        let read = parse(text).unwrap();
        assert_eq!(
            read,
            json!({
                "cdiVersion": "0.5.0",
                "containerEdits": {
                    "env": ["A=b:c", "X=void"],
                    "hooks": [{"args": ["hook", "--link", "a.so.1::/usr/lib/a.so"], "hookName": "createContainer"}],
                    "mounts": [],
                },
                "devices": [
                    {"containerEdits": {"deviceNodes": [{"path": "/dev/x0"}]}, "name": "0"},
                    {"containerEdits": {"deviceNodes": [{"path": "/dev/x1"}]}, "name": "GPU-'1"},
                ],
                "kind": "a.com/gpu",
            })
        );
    }

    #[test]
    fn more_yaml_than_that_is_an_error() {
        let deep: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for text in
            ["a: &x 1", "a: [1, 2]", "a: |\n  text", "\ta: 1", "text", "a: 1\n   b: 2", "a: \"x", &deep]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse("").unwrap(), Value::Null);
    }
}
