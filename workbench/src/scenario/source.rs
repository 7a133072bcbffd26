//! A scenario's file and the files it uses, read into memory. Only what can be a scenario gets past: small files of UTF-8
//! text. What they say is not looked at here, except for which files they use (`used`).

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::{Diagnostics, Problem};
use super::used;

/// The text of a scenario and the name it goes by in messages, with the files it uses.
///
/// All of them share one space of offsets, so that a span says in which file it is: the scenario's own text begins at 0,
/// each used one behind the last, with one offset between them that belongs to the end of the earlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// The file, as named on the command line.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The files it uses, directly or through others, in the order in which they were met.
    pub(super) used: Vec<UsedFile>,
    /// Why a `use` gave no file, each at its place.
    pub(super) refused: Vec<Problem>,
}

/// A file that a scenario uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsedFile {
    /// Its name: that of the file that uses it, with the last part replaced by what `use` says.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// Where it begins among the offsets of the scenario.
    pub(super) base: usize,
}

impl SourceFile {
    /// The largest file that is read: 1 MiB. The largest scenario worth reading has a hundredth of it.
    pub const LIMIT_BYTES: u64 = 1 << 20;

    /// A text that was not read from a file. It uses nothing, until it is told to read what it uses.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), ..Self::default() }
    }

    /// Reads a file and those it uses. Why one of these cannot be used is told by `parse`, with all else that is wrong.
    ///
    /// # Errors
    ///
    /// The file is missing, a directory, not readable, larger than [`Self::LIMIT_BYTES`] (told without reading it), or
    /// not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        Ok(Self::read_alone(path)?.with_used_files())
    }

    /// Reads the files that the text uses, which are named relative to this one.
    #[must_use]
    pub fn with_used_files(mut self) -> Self {
        used::read(&mut self);
        self
    }

    /// Reads one file, whatever it uses.
    pub(super) fn read_alone(path: &Path) -> Result<Self, Diagnostics> {
        let name = path.display().to_string();
        let failed = |e: std::io::Error| Diagnostics::unreadable(cannot_read(&name, &e));
        // A FIFO that nobody writes to would never open.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Diagnostics::unreadable(
                Problem::new(format!("{name} is a directory, not a scenario"))
                    .help("name the .kdl files in it, or let `workbench run` find them"),
            ));
        }
        if metadata.len() > Self::LIMIT_BYTES {
            return Err(Diagnostics::unreadable(too_large(&name, Some(metadata.len()))));
        }
        // A pipe or a device tells no length: read one byte more than is allowed, and no further.
        let mut bytes = Vec::new();
        file.take(Self::LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > Self::LIMIT_BYTES {
            return Err(Diagnostics::unreadable(too_large(&name, None)));
        }
        let text = String::from_utf8(bytes).map_err(|e| not_utf8(&name, &e))?;
        Ok(Self::new(name, text))
    }

    /// Each file with the offset at which it begins and its name, the scenario's own first.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        let used = self.used.iter().map(|file| (file.base, file.name.as_str(), file.text.as_str()));
        std::iter::once((0, self.name.as_str(), self.text.as_str())).chain(used)
    }

    /// The file in which an offset lies: where it begins, its name and its text.
    pub fn part_at(&self, offset: usize) -> (usize, &str, &str) {
        let last = self.parts().filter(|(base, ..)| *base <= offset).last();
        last.unwrap_or((0, &self.name, &self.text))
    }

    /// The scenario's name: the file's stem, `syn-retries-0` for `scenarios/syn-retries-0.kdl`.
    pub fn stem(&self) -> &str {
        Path::new(&self.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(&self.name)
    }
}

fn cannot_read(name: &str, error: &std::io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read {name}: {error}"));
    match error.kind() {
        ErrorKind::NotFound => problem.help("check the path; scenarios are files that end in .kdl"),
        ErrorKind::PermissionDenied => problem.help("the file, or a folder above it, is not readable for this user"),
        _ => problem,
    }
}

fn too_large(name: &str, bytes: Option<u64>) -> Problem {
    let size = bytes.map_or("more than 1 MiB".to_owned(), |bytes| format!("{bytes} bytes"));
    Problem::new(format!("{name} is too large for a scenario: {size}, at most {} are read", SourceFile::LIMIT_BYTES))
        .help("a scenario is a text of a few hundred lines; is this the right file?")
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostics {
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes()[at];
    // Before the first wrong byte the lossy text has the same offsets as the file.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let problem = Problem::new(format!("{name} is not UTF-8: byte 0x{byte:02x} at offset {at}"))
        .at((at, char::REPLACEMENT_CHARACTER.len_utf8()).into())
        .label(format!("0x{byte:02x} cannot stand here"))
        .help("save the file as UTF-8; `iconv -f latin1 -t utf-8` converts it if it was written as Latin-1");
    Diagnostics::new(&SourceFile::new(name, text), vec![problem])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<SourceFile, Diagnostics> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), content).expect("written");
        SourceFile::read(file.path())
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let limit = SourceFile::LIMIT_BYTES as usize;
        assert_eq!(read(&vec![b' '; limit]).expect("read").text.len(), limit);
        let error = read(&vec![b' '; limit + 1]).expect_err("refused").to_string();
        assert!(error.contains("1048577 bytes"), "{error}");
    }

    #[test]
    fn a_device_without_end_is_refused_after_the_limit() {
        let error = SourceFile::read(Path::new("/dev/zero")).expect_err("refused").to_string();
        assert!(error.contains("more than 1 MiB"), "{error}");
    }

    #[test]
    fn a_sparse_file_of_many_gigabytes_is_refused_without_being_read() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(1 << 40).expect("sparse");
        let error = SourceFile::read(file.path()).expect_err("refused").to_string();
        assert!(error.contains("1099511627776 bytes"), "{error}");
    }

    #[test]
    fn the_first_byte_that_is_not_utf8_is_named() {
        let error = read(b"about \"f\xfcr\"\n").expect_err("refused").to_string();
        assert!(error.contains("byte 0xfc at offset 8"), "{error}");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_apart() {
        let folder = SourceFile::read(Path::new("/proc")).expect_err("refused").to_string();
        assert!(folder.contains("is a directory"), "{folder}");
        let missing = SourceFile::read(Path::new("/nonexistent.kdl")).expect_err("refused").to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
