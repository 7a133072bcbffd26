//! What is wrong with a scenario, told with the place, what was expected, and what would be right.
//!
//! A [`Problem`] is one finding; [`Diagnostics`] holds all those of a file, in the order of the file. Nothing is printed
//! here: `miette`'s graphical handler renders them for whoever asks.

use std::error::Error;
use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};

use super::snippets::Snippets;
use super::source::SourceFile;

/// One finding: a message, the places it is about, and a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    label: String,
    span: Option<SourceSpan>,
    also: Vec<(SourceSpan, String)>,
    help: Option<String>,
}

impl Problem {
    /// A finding that has no place yet.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), label: "here".into(), span: None, also: Vec::new(), help: None }
    }

    /// The place it is about, unless a more precise one is known already.
    pub(super) fn at(mut self, span: SourceSpan) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// What stands under the place; `here` when nothing is said.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// A second place that explains the first.
    pub(super) fn also(mut self, span: SourceSpan, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// What would be right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what would be right where it is known.
    pub(super) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Without a place: for a text that stands in no file.
    pub(super) fn in_a_line(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }

    /// The place it is about.
    pub(super) fn span(&self) -> Option<SourceSpan> {
        self.span
    }

    /// The same finding with all its places further on by `by` bytes.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        let shift = |span: SourceSpan| SourceSpan::from((span.offset() + by, span.len()));
        self.span = self.span.map(shift);
        self.also.iter_mut().for_each(|(span, _)| *span = shift(*span));
        self
    }

    /// The same finding with something added to its message.
    pub(super) fn with(mut self, more: &str) -> Self {
        self.message += more;
        self
    }

    fn offset(&self) -> usize {
        self.span.map_or(0, |span| span.offset())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        // Primary, because miette would otherwise name the first label of the file in the header, not the error.
        let primary = LabeledSpan::new_primary_with_span(Some(self.label.clone()), self.span?);
        let also = self.also.iter().map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), *span));
        Some(Box::new(std::iter::once(primary).chain(also)))
    }
}

/// Everything that is wrong with one file, in the order of the file.
///
/// With one problem it renders as that problem; with several, as a headline and the problems below it.
#[derive(Debug)]
pub struct Diagnostics {
    source: Snippets,
    problems: Vec<Problem>,
    headline: String,
}

impl Diagnostics {
    /// At most so many problems are kept: nobody reads more, and a broken file of 1 MiB can have half a million.
    const LIMIT: usize = 50;

    pub(super) fn new(source: &SourceFile, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::offset);
        let found = problems.len();
        problems.truncate(Self::LIMIT);
        let headline = match (found, &problems[..]) {
            (1, [problem]) => problem.message.clone(),
            (found, shown) if found > shown.len() => {
                format!("{found} problems in {}, of which these are the first {}", source.name, shown.len())
            }
            _ => format!("{found} problems in {}", source.name),
        };
        Self { source: Snippets::of(source), problems, headline }
    }

    /// A problem with a file whose text could not be had, so that there is nothing to quote.
    pub(super) fn unreadable(problem: Problem) -> Self {
        let headline = problem.message.clone();
        Self { source: Snippets::default(), problems: vec![problem], headline }
    }

    /// The same as a finding about another file that needs this one: no place, what is wrong and what would be right.
    pub(super) fn without_place(self) -> Problem {
        let help = self.problems.into_iter().next().and_then(|problem| problem.help);
        Problem::new(self.headline).help_if(help)
    }

    /// The problems, in the order of the file.
    #[cfg(test)]
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn single(&self) -> Option<&Problem> {
        match &self.problems[..] {
            [problem] => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)
    }
}

impl Error for Diagnostics {}

impl Diagnostic for Diagnostics {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.single()?.help()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.single()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self.single() {
            Some(_) => None,
            None => Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic))),
        }
    }
}

/// Unicode's invisible marks that reorder text or stand for a byte order (KDL 2.0, disallowed literal code points).
pub(super) fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A text from the file as a message quotes it: between backticks, escaped, and not endless.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 60;
    let escape = |part: &str| part.replace(|c: char| c.is_control() || is_direction_mark(c), "\u{FFFD}");
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("`{}…`", escape(&text[..end])),
        None => format!("`{}`", escape(text)),
    }
}
