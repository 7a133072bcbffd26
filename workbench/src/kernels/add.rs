//! Taking in a kernel that somebody else built: asked for its release and its configuration, and kept if they will do.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::about::{About, Kernel, version};
use super::build::asked;
use super::cache::keep;
use super::config::{compiler, hz, lacking};
use super::error::KernelError;
use super::processes::output;
use super::workspace::Workspace;

/// A kernel answers at once; a program that is none may do anything.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Copies the kernel at `path` into the cache.
///
/// # Errors
///
/// It is no User-Mode Linux, or lacks what the virtual engine cannot do without.
pub async fn add(path: &Path) -> Result<Kernel, KernelError> {
    let path = std::fs::canonicalize(path).map_err(KernelError::at(path))?;
    check_program(&path)?;
    let release = ask(&path, "--version").await?;
    let release = release.trim();
    if !is_release(release) {
        let first = release.lines().next().unwrap_or_default();
        let why = format!("expected a release such as 6.12.117 from `--version`, and it says \"{first}\"");
        return Err(KernelError::NotKernel { path, why });
    }
    let config = ask(&path, "--showconfig").await?;
    let mut symbols = lacking(&config);
    let hz = hz(&config);
    if hz.is_none() {
        symbols.push("CONFIG_HZ".to_owned());
    }
    let (Some(hz), true) = (hz, symbols.is_empty()) else {
        return Err(KernelError::Lacking { what: path.display().to_string(), symbols });
    };
    let about = About {
        release: release.to_owned(),
        hz,
        fragment: String::new(),
        compiler: compiler(&config),
        source: format!("added from {}", path.display()),
    };
    keep(&Workspace::create()?, &path, about)
}

/// A script, or a kernel for hardware, is not started to find out.
fn check_program(path: &Path) -> Result<(), KernelError> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut magic));
    read.map_err(KernelError::at(path))?;
    if magic == *b"\x7fELF" {
        return Ok(());
    }
    let why = "expected an ELF program, the file `linux` of a build with ARCH=um".to_owned();
    Err(KernelError::NotKernel { path: path.to_owned(), why })
}

async fn ask(path: &Path, question: &str) -> Result<String, KernelError> {
    let not_kernel = |why| KernelError::NotKernel { path: path.to_owned(), why };
    let answer = output("asking for its configuration", asked(path, question));
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(not_kernel(error.to_string())),
        Err(_) => Err(not_kernel(format!("`{question}` was not answered within {} s", ANSWER_WITHIN.as_secs()))),
    }
}

fn is_release(text: &str) -> bool {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_~".contains(c));
    is_word && text.contains('.') && version(text).0 > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_told_from_what_other_programs_say() {
        for text in ["6.12.117", "7.2", "6.19.0-rc1+", "5.10.223-um"] {
            assert!(is_release(text), "{text}");
        }
        for text in ["", "true (GNU coreutils) 9.1", "x.y", "612", "6.12\nmore", "../6.12"] {
            assert!(!is_release(text), "{text}");
        }
    }
}
