//! The bytes that a peer sends: the scenario's text, repeated as often as needed, or lines that show where they stand.

/// Sixteen bytes that are a line: what is missing of a body can be read off its last line.
const FILLER: &[u8] = b"0123456789abcde\n";

/// A stream of bytes without an end.
#[derive(Debug, Clone)]
pub(super) struct Filler {
    pattern: Vec<u8>,
}

impl Filler {
    /// Of a text, or of lines.
    pub(super) fn new(text: Option<&str>) -> Self {
        let pattern = text.map(str::as_bytes).filter(|text| !text.is_empty()).unwrap_or(FILLER);
        Self { pattern: pattern.to_vec() }
    }

    /// `length` bytes of the stream from its byte `from` on.
    pub(super) fn bytes(&self, from: u64, length: usize) -> Vec<u8> {
        let skip = (from % self.pattern.len() as u64) as usize;
        self.pattern.iter().copied().cycle().skip(skip).take(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_where_it_was_left() {
        let filler = Filler::new(Some("abc"));
        assert_eq!(filler.bytes(0, 4), b"abca");
        assert_eq!(filler.bytes(4, 4), b"bcab");
        assert_eq!(filler.bytes(3 << 40, 2), b"ab");
    }

    #[test]
    fn filler_is_lines_of_sixteen_bytes() {
        assert_eq!(Filler::new(None).bytes(8, 16), b"89abcde\n01234567");
    }
}
