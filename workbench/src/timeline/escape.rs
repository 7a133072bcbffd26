//! Text that came from outside, made harmless: one line, nothing in it that steers a terminal or turns its direction.

/// `text` with control and format characters written out: `\n`, `\x1b`, `\u{202e}`. Everything else stays.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || is_format(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Characters of Unicode's category Cf that reorder or hide what stands beside them, and the line separators.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(escape("a\x1b[2Jb\r\n\u{9b}31m\u{202e}c\0"), "a\\x1b[2Jb\\r\\n\\u{9b}31m\\u{202e}c\\x00");
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        assert_eq!(escape("Zeitüberschreitung タイムアウト \"x\" \\"), "Zeitüberschreitung タイムアウト \"x\" \\");
    }
}
