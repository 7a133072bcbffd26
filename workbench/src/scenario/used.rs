//! Which files a scenario uses: finds each `use`, and reads what it names. Why one cannot be read is kept for `parse` to tell.
//!
//! The nodes of the files are put together in `include`.

use std::path::{Component, Path, PathBuf};

use miette::SourceSpan;

use super::error::{Problem, is_direction_mark, quoted};
use super::source::{SourceFile, UsedFile};
use super::syntax;

/// So many files can be used by one scenario, directly or through others.
const FILES_LIMIT: usize = 32;

/// A file that the scenario uses may use others, and they others, so deep.
const DEPTH_LIMIT: usize = 8;

/// All files together are no larger than this: 4 MiB.
const TOTAL_LIMIT_BYTES: usize = 4 << 20;

/// Reads what a scenario uses.
pub(super) fn read(source: &mut SourceFile) {
    let own = UsedFile { name: source.name.clone(), text: source.text.clone(), base: 0 };
    let mut reader = Reader { used: Vec::new(), refused: Vec::new(), end: own.text.len() + 1 };
    reader.follow(&own, &mut vec![normal(Path::new(&own.name))]);
    (source.used, source.refused) = (reader.used, reader.refused);
}

/// The name of the file that `file` uses as `path`: as somebody would type it who typed `file`.
pub(super) fn name_of(file: &str, path: &str) -> String {
    normal(&Path::new(file).parent().unwrap_or(Path::new("")).join(path))
}

/// Without `.`, and without `..` where it takes back what stands before it.
fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match (part, normal.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                normal.pop();
            }
            (part, _) => normal.push(part),
        }
    }
    normal.display().to_string()
}

struct Reader {
    used: Vec<UsedFile>,
    refused: Vec<Problem>,
    /// The next file's offset.
    end: usize,
}

impl Reader {
    /// Reads what one file uses; `chain` has the names that led here, itself last.
    fn follow(&mut self, file: &UsedFile, chain: &mut Vec<String>) {
        for (path, span) in uses(&file.text) {
            let name = name_of(&file.name, &path);
            let is_known = self.used.iter().any(|used| used.name == name) && !chain.contains(&name);
            if is_known {
                continue;
            }
            match self.read(&path, &name, chain) {
                Ok(read) => {
                    self.used.push(read.clone());
                    chain.push(name);
                    self.follow(&read, chain);
                    chain.pop();
                }
                Err(problem) => self.refused.push(problem.at((span.offset() + file.base, span.len()).into())),
            }
        }
    }

    fn read(&mut self, path: &str, name: &str, chain: &[String]) -> Result<UsedFile, Problem> {
        speaks_of_a_part(path)?;
        if let Some(at) = chain.iter().position(|above| above == name) {
            let way: Vec<&str> = chain[at..].iter().map(String::as_str).chain([name]).collect();
            let message = format!("{} uses itself: {}", quoted(name), way.join(" -> "));
            return Err(Problem::new(message).label("back to where it began").help("take one of these `use` out"));
        }
        if chain.len() > DEPTH_LIMIT {
            let message = format!("files that use files are nested deeper than {DEPTH_LIMIT}");
            return Err(Problem::new(message).help("use the files that are needed from the scenario itself"));
        }
        if self.used.len() == FILES_LIMIT {
            let message = format!("a scenario uses more than {FILES_LIMIT} files");
            return Err(Problem::new(message)
                .label("one too many")
                .help("put parts that belong together into one file"));
        }
        let read = SourceFile::read_alone(Path::new(name)).map_err(|diagnostics| {
            let problem = diagnostics.without_place().label("used here");
            problem.help_if(
                (!Path::new(name).exists())
                    .then(|| format!("{} is looked for beside the file that uses it", quoted(path))),
            )
        })?;
        let base = self.end;
        if base + read.text.len() > TOTAL_LIMIT_BYTES {
            let message = format!("a scenario and what it uses are larger than {TOTAL_LIMIT_BYTES} bytes");
            return Err(Problem::new(message).label("too much with this").help("a part is a text of a few lines"));
        }
        self.end = base + read.text.len() + 1;
        Ok(UsedFile { name: name.to_owned(), text: read.text, base })
    }
}

/// What each `use` at the top of a text names, where it names something.
fn uses(text: &str) -> Vec<(String, SourceSpan)> {
    // What is no KDL is told by `parse`.
    let Ok(document) = syntax::parse(text) else { return Vec::new() };
    let uses = document.nodes().iter().filter(|node| node.name().value() == "use");
    uses.filter_map(|node| {
        let path = node.entries().iter().find(|entry| entry.name().is_none())?;
        Some((path.value().as_string()?.to_owned(), SourceSpan::from((path.span().offset(), path.span().len()))))
    })
    .filter(|(path, _)| !path.is_empty())
    .collect()
}

/// A path that names a part of a scenario, the same on every machine.
fn speaks_of_a_part(path: &str) -> Result<(), Problem> {
    const EXAMPLE: &str = "use \"common/two-hosts.kdl\"";
    if path.contains(|c: char| c.is_control() || is_direction_mark(c)) {
        return Err(Problem::new("control characters in the name of a file").help(EXAMPLE));
    }
    if path.starts_with('/') || path.starts_with("~") {
        let message = format!("{} is a place on this machine only", quoted(path));
        return Err(Problem::new(message).label("not relative").help(format!("a path from this file on: {EXAMPLE}")));
    }
    match Path::new(path).extension().is_some_and(|extension| extension == "kdl") {
        true => Ok(()),
        false => {
            Err(Problem::new(format!("{} is no scenario: its name does not end in .kdl", quoted(path))).help(EXAMPLE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_file_is_named_as_one_would_type_it() {
        assert_eq!(name_of("scenarios/syn/retries.kdl", "../common/two-hosts.kdl"), "scenarios/common/two-hosts.kdl");
        assert_eq!(name_of("retries.kdl", "../common/two-hosts.kdl"), "../common/two-hosts.kdl");
        assert_eq!(name_of("./a.kdl", "./b.kdl"), "b.kdl");
        assert_eq!(name_of("../../a.kdl", "../b.kdl"), "../../../b.kdl");
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        folder
    }

    fn read_in(folder: &tempfile::TempDir, name: &str) -> SourceFile {
        SourceFile::read(&folder.path().join(name)).expect("read")
    }

    #[test]
    fn every_offset_lies_in_the_file_that_says_it() {
        let folder = folder(&[
            ("a.kdl", "use \"parts/b.kdl\"\n"),
            ("parts/b.kdl", "use \"c.kdl\"\nnamespace b\n"),
            ("parts/c.kdl", "namespace c\n"),
        ]);
        let source = read_in(&folder, "a.kdl");
        assert_eq!(source.refused, []);
        for (base, name, text) in source.parts() {
            assert_eq!(source.part_at(base).1, name);
            assert_eq!(source.part_at(base + text.len()).1, name);
        }
        assert_eq!(source.parts().count(), 3);
    }

    #[test]
    fn a_file_that_two_others_use_is_read_once() {
        let folder = folder(&[
            ("a.kdl", "use \"b.kdl\"\nuse \"c.kdl\"\n"),
            ("b.kdl", "use \"d.kdl\"\n"),
            ("c.kdl", "use \"./d.kdl\"\n"),
            ("d.kdl", "namespace d\n"),
        ]);
        let source = read_in(&folder, "a.kdl");
        assert_eq!((source.used.len(), source.refused.len()), (3, 0));
    }

    #[test]
    fn a_circle_ends_where_it_closes() {
        let folder = folder(&[("a.kdl", "use \"b.kdl\"\n"), ("b.kdl", "use \"a.kdl\"\n")]);
        let source = read_in(&folder, "a.kdl");
        assert_eq!(source.refused.len(), 1);
        assert!(source.refused[0].to_string().contains("uses itself"), "{:?}", source.refused);
    }

    #[test]
    fn depth_number_and_size_have_limits() {
        let chain: Vec<(String, String)> =
            (0..12).map(|n| (format!("{n}.kdl"), format!("use \"{}.kdl\"\n", n + 1))).collect();
        let chain: Vec<(&str, &str)> = chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let deep = read_in(&folder(&chain), "0.kdl");
        assert!(deep.refused[0].to_string().contains("nested deeper than 8"), "{:?}", deep.refused);

        let parts: Vec<String> = (0..40).map(|n| format!("p{n}.kdl")).collect();
        let all: String = parts.iter().map(|name| format!("use \"{name}\"\n")).collect();
        let mut files: Vec<(&str, &str)> = parts.iter().map(|name| (name.as_str(), "\n")).collect();
        files.push(("all.kdl", &all));
        let many = read_in(&folder(&files), "all.kdl");
        assert_eq!((many.used.len(), many.refused.len()), (32, 8));

        let large = " ".repeat(1 << 20);
        for file in &mut files[..5] {
            file.1 = &large;
        }
        let much = read_in(&folder(&files), "all.kdl");
        assert!(much.refused[0].to_string().contains("larger than 4194304 bytes"), "{:?}", much.refused[0]);
    }
}
