//! Bytes and texts in quotes, with strace's escapes.

use std::fmt::Write;

/// Bytes shown of a buffer or a text, and elements of an array: strace's default for `-s`.
const LIMIT: usize = 32;

/// Bytes of a buffer; dots where there are more than are shown.
pub fn bytes(head: &[u8], total: u64) -> String {
    let shown = &head[..head.len().min(LIMIT)];
    let dots = if total > shown.len() as u64 { "..." } else { "" };
    format!("\"{}\"{dots}", escape(shown))
}

/// An argument of a program, cut like a buffer.
pub fn text(text: &str) -> String {
    bytes(text.as_bytes(), text.len() as u64)
}

/// A path, whole.
pub fn path(path: &str) -> String {
    format!("\"{}\"", escape(path.as_bytes()))
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            0x0b => text.push_str("\\v"),
            0x0c => text.push_str("\\f"),
            b'\r' => text.push_str("\\r"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                // Octal, as short as can be, unless a digit follows that would be read as part of it.
                let is_digit_next = bytes.get(i + 1).is_some_and(|next| (b'0'..=b'7').contains(next));
                let _ = if is_digit_next { write!(text, "\\{byte:03o}") } else { write!(text, "\\{byte:o}") };
            }
        }
    }
    text
}

/// Elements in brackets, cut like a buffer.
pub fn list(elements: impl ExactSizeIterator<Item = String>) -> String {
    let has_more = elements.len() > LIMIT;
    let mut shown: Vec<String> = elements.take(LIMIT).collect();
    if has_more {
        shown.push("...".to_owned());
    }
    format!("[{}]", shown.join(", "))
}
