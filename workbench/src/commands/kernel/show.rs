//! Kernels as text: a line in a list, everything known about one. Nothing here looks further than at a file's size.

use std::fmt::Write as _;
use std::path::Path;

use crate::kernels::{Kernel, fragment_hash};

/// `6.12.117@250, 7.3 MB, in /home/u/.cache/workbench/kernels/6.12.117-hz250-0123456789ab`.
pub fn kernel_line(kernel: &Kernel) -> String {
    let folder = kernel.image.parent().unwrap_or(Path::new(""));
    format!("{}, {}, in {}", kernel.name(), size(kernel), folder.display())
}

/// A line for each kernel, or where none is and what makes one.
pub fn listing(kernels: &[Kernel], folder: &Path) -> String {
    if kernels.is_empty() {
        return format!("no kernel in {}; `workbench kernel build` makes one (about 5 minutes)\n", folder.display());
    }
    let width = kernels.iter().map(|kernel| kernel.name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for kernel in kernels {
        let name = kernel.name();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<width$}  {:<24}  {}", fragment(kernel), kernel.about.source);
    }
    text
}

/// Every recorded fact, one a line.
pub fn shown(kernel: &Kernel) -> String {
    let about = &kernel.about;
    let fragment = match about.fragment.as_str() {
        "" => fragment(kernel),
        hash => format!("{hash}, {}", fragment(kernel)),
    };
    let mut text = format!("{}\n", kernel.name());
    for (what, value) in [
        ("release", about.release.clone()),
        ("HZ", about.hz.to_string()),
        ("fragment", fragment),
        ("current", format!("{} (workbench/kernel/virtual.config)", fragment_hash())),
        ("compiler", about.compiler.clone()),
        ("source", about.source.clone()),
        ("image", format!("{}, {}", kernel.image.display(), size(kernel))),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {what:<9} {value}");
    }
    text
}

fn fragment(kernel: &Kernel) -> String {
    match kernel.about.fragment.as_str() {
        "" => "built elsewhere".to_owned(),
        hash if hash == fragment_hash() => "current configuration".to_owned(),
        _ => "another configuration".to_owned(),
    }
}

fn size(kernel: &Kernel) -> String {
    let bytes = std::fs::metadata(&kernel.image).map_or(0, |metadata| metadata.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::About;

    fn kernel(release: &str, hz: u64, fragment: &str) -> Kernel {
        let about = About {
            release: release.into(),
            hz,
            fragment: fragment.into(),
            compiler: "gcc (Debian) 12.2.0".into(),
            source: "linux-source-6.12 6.12.117-1 (trixie)".into(),
        };
        Kernel { image: "/c/kernels/x/linux".into(), about }
    }

    #[test]
    fn a_list_says_of_each_whether_its_configuration_is_this_workbenchs() {
        let kernels = [
            kernel("5.10.223", 250, ""),
            kernel("6.12.117", 250, "000000000000"),
            kernel("6.12.117", 1000, &fragment_hash()),
        ];
        assert_eq!(
            listing(&kernels, Path::new("/c/kernels")),
            "5.10.223@250   built elsewhere           linux-source-6.12 6.12.117-1 (trixie)\n\
             6.12.117@250   another configuration     linux-source-6.12 6.12.117-1 (trixie)\n\
             6.12.117@1000  current configuration     linux-source-6.12 6.12.117-1 (trixie)\n"
        );
    }

    #[test]
    fn an_empty_list_names_the_command_that_fills_it() {
        let text = listing(&[], Path::new("/c/kernels"));
        assert_eq!(text, "no kernel in /c/kernels; `workbench kernel build` makes one (about 5 minutes)\n");
    }

    #[test]
    fn everything_recorded_is_shown() {
        let text = shown(&kernel("6.12.117", 250, "000000000000"));
        for expected in [
            "6.12.117@250\n",
            "release   6.12.117",
            "HZ        250",
            "fragment  000000000000, another",
            &fragment_hash(),
            "gcc (Debian) 12.2.0",
            "(trixie)",
            "/c/kernels/x/linux",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
}
