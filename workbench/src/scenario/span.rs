//! A value together with the place in the file that says it.

use miette::SourceSpan;

/// A value and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: SourceSpan,
}

impl<T> Spanned<T> {
    /// A value that stands at `span`.
    pub fn new(value: T, span: SourceSpan) -> Self {
        Self { value, span }
    }
}
