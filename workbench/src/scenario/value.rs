//! One value of a node and the readings that several nodes share: text, numbers, names, lengths of time.
//!
//! A reading says what is wrong with the value; its place and the property it stands under are added by `fields`.

use std::ops::RangeInclusive;

use kdl::{KdlEntry, KdlValue};
use miette::SourceSpan;

use super::error::{Problem, quoted};
use super::suggest::did_you_mean;
use super::units;

/// What a reading gives.
pub(super) type Reading<T> = Result<T, Problem>;

/// An argument, or the value of a property.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    entry: &'a KdlEntry,
}

impl<'a> Value<'a> {
    pub(super) fn new(entry: &'a KdlEntry) -> Self {
        Self { entry }
    }

    /// The value, whatever it is.
    pub(super) fn raw(self) -> &'a KdlValue {
        self.entry.value()
    }

    /// Where the value stands, without the name of its property.
    pub(super) fn span(self) -> SourceSpan {
        let whole = self.entry.span();
        // An argument is all value; and where a sweep filled in a property's, the span begins behind its name.
        if self.entry.name().is_none_or(|name| name.span().offset() < whole.offset()) {
            return whole;
        }
        let len = self.entry.format().map_or(whole.len(), |format| format.value_repr.len()).min(whole.len());
        (whole.offset() + whole.len() - len, len).into()
    }

    /// The value as the file spells it.
    pub(super) fn spelling(self) -> String {
        self.entry.format().map_or_else(|| self.entry.value().to_string(), |format| format.value_repr.clone())
    }

    /// A text that is not empty.
    pub(super) fn text(self) -> Reading<&'a str> {
        match self.entry.value() {
            KdlValue::String(text) if text.is_empty() => Err(Problem::new("expected a text, found an empty one")),
            KdlValue::String(text) => Ok(text),
            _ => Err(self.expected("a text").help(format!("write it in quotes: \"{}\"", self.spelling()))),
        }
    }

    /// A text that may be empty.
    pub(super) fn any_text(self) -> Reading<String> {
        match self.entry.value() {
            KdlValue::String(text) => Ok(text.clone()),
            _ => Err(self.expected("a text").help(format!("write it in quotes: \"{}\"", self.spelling()))),
        }
    }

    /// A text, or a number taken as it is written.
    pub(super) fn text_or_number(self) -> Reading<String> {
        match self.entry.value() {
            KdlValue::Integer(number) => Ok(number.to_string()),
            KdlValue::Bool(value) => {
                let number = u8::from(*value);
                Err(self.expected("a number or a text").help(format!("write {number}")))
            }
            KdlValue::String(_) => self.text().map(str::to_owned),
            _ => Err(self.expected("a whole number or a text")),
        }
    }

    /// A whole number in a range. `what` completes "expected …".
    pub(super) fn integer<T: TryFrom<i128>>(self, what: &str, range: RangeInclusive<i128>) -> Reading<T> {
        let problem = || self.expected(what).help(format!("a whole number from {} to {}", range.start(), range.end()));
        match self.entry.value() {
            KdlValue::Integer(number) if range.contains(number) => T::try_from(*number).map_err(|_| problem()),
            _ => Err(problem()),
        }
    }

    /// `#true` or `#false`.
    pub(super) fn boolean(self) -> Reading<bool> {
        self.entry.value().as_bool().ok_or_else(|| self.expected("#true or #false"))
    }

    /// One of several words.
    pub(super) fn one_of<T: Copy>(self, what: &str, choices: &[(&str, T)]) -> Reading<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let KdlValue::String(text) = self.entry.value() else {
            return Err(self.expected(what).help(format!("one of {}", names.join(", "))));
        };
        let choice = choices.iter().find(|(name, _)| name == text).map(|(_, choice)| *choice);
        choice.ok_or_else(|| self.expected(what).help_if(did_you_mean(text, &names)))
    }

    /// A length of time in nanoseconds.
    pub(super) fn duration_ns(self) -> Reading<u64> {
        self.with_unit("a duration", "\"100ms\"", units::duration_ns)
    }

    /// A rate in bits in a second.
    pub(super) fn rate_bits_per_s(self) -> Reading<u64> {
        self.with_unit("a rate", "\"10mbit\"", units::rate_bits_per_s)
    }

    /// A size in bytes; a bare number is one.
    pub(super) fn size_bytes(self) -> Reading<u64> {
        match self.entry.value() {
            KdlValue::Integer(_) => self.integer("a size", 0..=i128::from(u64::MAX)),
            _ => self.with_unit("a size", "\"64KiB\"", units::size_bytes),
        }
    }

    /// Whether a bare number stands there.
    pub(super) fn is_number(self) -> bool {
        matches!(self.entry.value(), KdlValue::Integer(_) | KdlValue::Float(_))
    }

    /// A chance from 0.0 to 1.0.
    pub(super) fn chance(self) -> Reading<f64> {
        match self.entry.value() {
            KdlValue::Float(fraction) if fraction.is_finite() => units::fraction(*fraction, &self.spelling()),
            KdlValue::Integer(number) => Err(self
                .expected("a chance")
                .help(format!("write \"{number}%\": a bare number could be a percentage or a fraction"))),
            _ => self.with_unit("a chance", "\"30%\"", units::chance),
        }
    }

    /// A version of the kernel: two or three numbers. `example` shows how to write it.
    pub(super) fn kernel_version(self, example: &str) -> Reading<String> {
        let problem = || self.expected("a kernel version").help(format!("as in {example}, in quotes"));
        let text = self.text().map_err(|_| problem())?;
        let parts: Vec<&str> = text.split('.').collect();
        let is_number = |part: &&str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u32>().is_ok();
        let is_version = (2..=3).contains(&parts.len()) && parts.iter().all(is_number);
        if is_version { Ok(text.to_owned()) } else { Err(problem()) }
    }

    fn with_unit<T>(self, what: &str, example: &str, parse: impl Fn(&str) -> Reading<T>) -> Reading<T> {
        match self.entry.value() {
            KdlValue::String(text) => parse(text),
            KdlValue::Integer(_) => Err(self.expected(what).help(format!("a number needs its unit, as in {example}"))),
            _ => Err(self.expected(what).help(format!("as in {example}"))),
        }
    }

    /// A name that others refer to: lower case, digits, and a few marks, beginning with a letter.
    pub(super) fn name(self, marks: &str, max_len: usize) -> Reading<String> {
        let text = self.text()?;
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c);
        let remedy = format!("lower case letters, digits and {marks:?}, beginning with a letter");
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(is_fine) {
            return Err(Problem::new(format!("{} cannot be a name", quoted(text))).help(remedy));
        }
        if text.ends_with(|c: char| !c.is_ascii_alphanumeric()) {
            return Err(
                Problem::new(format!("{} cannot be a name", quoted(text))).help("end it with a letter or a digit")
            );
        }
        if text.len() > max_len {
            return Err(Problem::new(format!("the name {} is too long", quoted(text)))
                .help(format!("at most {max_len} characters")));
        }
        Ok(text.to_owned())
    }

    /// The problem that something else was expected here.
    pub(super) fn expected(self, what: &str) -> Problem {
        let found = match self.entry.value() {
            KdlValue::String(text) => quoted(text),
            KdlValue::Integer(_) | KdlValue::Float(_) => format!("the number {}", quoted(&self.spelling())),
            KdlValue::Bool(value) => format!("`#{value}`"),
            KdlValue::Null => "`#null`".to_owned(),
        };
        Problem::new(format!("expected {what}, found {found}")).label(format!("not {what}"))
    }

    /// The place of a part of the text, where the file spells the text as it is; the whole value where it does not.
    pub(super) fn span_of(self, part: std::ops::Range<usize>) -> SourceSpan {
        let span = self.span();
        match self.entry.value() {
            // A value that a sweep filled in is not as long as its place.
            KdlValue::String(text) if text.len() + 2 == span.len() && self.spelling() == format!("\"{text}\"") => {
                (span.offset() + 1 + part.start, part.len()).into()
            }
            _ => span,
        }
    }
}
