//! Where this machine's apt gets Debian from, and which keys it trusts for it: both notations of its lists of sources.
//!
//! Pure: text in, entries out. No mirror is known here but those that the machine's own lists name.

/// A source of packages, from a line of `sources.list` or a stanza of a `.sources` file (sources.list(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) uri: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    /// A keyring's file; empty where none is named or the key itself is in the list.
    pub(super) signed_by: String,
}

/// Debian's names for suites that move from release to release (a machine that follows one names it so).
const MOVING_SUITES: &[&str] = &["stable", "testing", "unstable", "sid", "oldstable"];

/// The entry of the distribution whose code name this is, else that of a suite that moves.
pub(super) fn distribution<'a>(entries: &'a [Entry], codename: &str) -> Option<&'a Entry> {
    let with = |names: &[&str]| {
        let is_of = |entry: &&Entry| entry.suites.iter().any(|suite| names.contains(&suite.as_str()));
        entries.iter().find(|entry| entry.components.iter().any(|c| c == "main") && is_of(entry))
    };
    with(&[codename]).or_else(|| with(MOVING_SUITES))
}

/// The binary sources of a one-line list: `deb [options] uri suite component…`.
pub(super) fn parse_lines(text: &str) -> Vec<Entry> {
    text.lines().filter_map(|line| parse_line(line.split('#').next().unwrap_or_default())).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Entry {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: keyring(signed_by.unwrap_or_default()),
    })
}

/// The binary sources of a deb822 file: stanzas of `Field: value`, continued on indented lines.
pub(super) fn parse_stanzas(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).flatten().collect()
}

/// One entry for each URI.
fn parse_stanza(lines: &[&str]) -> Option<Vec<Entry>> {
    let words = |name: &str| field(lines, name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let is_off = ["no", "false", "off", "0"].contains(&field(lines, "Enabled").trim());
    if is_off || !words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    let entry = |uri| Entry {
        uri,
        suites: words("Suites"),
        components: words("Components"),
        signed_by: keyring(&field(lines, "Signed-By")),
    };
    Some(words("URIs").into_iter().map(entry).collect())
}

/// A field's value with its continuation lines.
fn field(lines: &[&str], name: &str) -> String {
    let of_name = |line: &&str| {
        line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name) && !line.starts_with(' '))
    };
    let Some(at) = lines.iter().position(of_name) else { return String::new() };
    let first = lines[at].split_once(':').map_or("", |(_, value)| value);
    let more = lines[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t']));
    [first].into_iter().chain(more.copied()).collect::<Vec<_>>().join("\n")
}

/// The file, where it is one: the value can be a key, or a key's fingerprint.
fn keyring(value: &str) -> String {
    let value = value.trim();
    let is_file = value.starts_with('/') && !value.contains(char::is_whitespace);
    if is_file { value.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uri: &str, suites: &[&str], components: &[&str], signed_by: &str) -> Entry {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Entry { uri: uri.into(), suites: owned(suites), components: owned(components), signed_by: signed_by.into() }
    }

    #[test]
    fn a_line_is_read_with_and_without_options() {
        let text = "# deb http://a.example/x old main\n\
                    deb http://mirror.example/debian bookworm main contrib # ours\n\
                    deb-src http://mirror.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] https://b.example/d trixie main\n\
                    debris\n";
        assert_eq!(
            parse_lines(text),
            [
                entry("http://mirror.example/debian", &["bookworm"], &["main", "contrib"], ""),
                entry("https://b.example/d", &["trixie"], &["main"], "/usr/share/keyrings/k.gpg"),
            ]
        );
    }

    #[test]
    fn a_stanza_is_read_with_its_continuation_lines() {
        let text = "Types: deb deb-src\n\
                    # a remark\n\
                    URIs: http://mirror.example/debian\n\
                    Suites: bookworm\n bookworm-updates\n\
                    Components: main\n\
                    Signed-By: /usr/share/keyrings/k.gpg\n\
                    \n\
                    Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: x\nComponents: main\n\
                    \n\
                    types: deb\nuris: http://one.example http://two.example\nsuites: sid\ncomponents: main\n\
                    signed-by:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        assert_eq!(
            parse_stanzas(text),
            [
                entry(
                    "http://mirror.example/debian",
                    &["bookworm", "bookworm-updates"],
                    &["main"],
                    "/usr/share/keyrings/k.gpg"
                ),
                entry("http://one.example", &["sid"], &["main"], ""),
                entry("http://two.example", &["sid"], &["main"], ""),
            ]
        );
    }

    #[test]
    fn the_distribution_is_told_from_what_others_offer_for_it() {
        let entries = [
            entry("http://pgdg.example", &["bookworm-pgdg"], &["main"], ""),
            entry("http://docker.example", &["bookworm"], &["stable"], ""),
            entry("http://node.example", &["nodistro"], &["main"], ""),
            entry("http://mirror.example/debian-security", &["bookworm-security"], &["main"], ""),
            entry("http://mirror.example/debian", &["bookworm", "bookworm-updates"], &["main"], ""),
        ];
        let uri = |codename| distribution(&entries, codename).map(|entry| entry.uri.as_str());
        assert_eq!(uri("bookworm"), Some("http://mirror.example/debian"));
        assert_eq!(uri("forky"), None);
        let moving = [entry("http://mirror.example/debian", &["sid"], &["main"], "")];
        assert_eq!(distribution(&moving, "forky"), Some(&moving[0]));
    }
}
