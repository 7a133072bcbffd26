//! Which address families of one host have TCP sockets at all.
//!
//! A dump walks the machine's whole table of connections, all namespaces' together: 0.2 ms where that has 262,144
//! buckets. `/proc/net/sockstat` says in microseconds that there is nothing to be found.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// `/proc/net/sockstat` and `sockstat6` of the namespace they were opened in.
pub(super) struct Families {
    ipv4: File,
    /// Not there without IPv6.
    ipv6: Option<File>,
}

impl Families {
    /// Opens them in the calling thread's network namespace, whose they stay.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            ipv4: File::open("/proc/thread-self/net/sockstat")?,
            ipv6: File::open("/proc/thread-self/net/sockstat6").ok(),
        })
    }

    /// AF_INET, AF_INET6, as far as the host has sockets of them.
    pub fn present(&self) -> io::Result<Vec<u8>> {
        let ipv4 = read(&self.ipv4)?;
        let ipv6 = self.ipv6.as_ref().map(read).transpose()?.unwrap_or_default();
        // TIME_WAIT is counted for both together.
        let has_waiting = has(&ipv4, "TCP:", "tw");
        let families = [
            (libc::AF_INET, has_waiting || has(&ipv4, "TCP:", "inuse")),
            (libc::AF_INET6, !ipv6.is_empty() && (has_waiting || has(&ipv6, "TCP6:", "inuse"))),
        ];
        Ok(families.into_iter().filter(|(_, has)| *has).map(|(family, _)| family as u8).collect())
    }
}

/// One read gives all of it: the file has a few lines.
fn read(file: &File) -> io::Result<String> {
    let mut buffer = [0; 4096];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Whether a line's number is not 0. A line or a number that is not there counts as one that is not 0: better asked in
/// vain than not seen.
fn has(text: &str, line: &str, name: &str) -> bool {
    let Some(line) = text.lines().find_map(|each| each.strip_prefix(line)) else { return true };
    let mut words = line.split_whitespace().skip_while(|word| *word != name).skip(1);
    words.next() != Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKSTAT: &str = "sockets: used 5\nTCP: inuse 0 orphan 3 tw 1 alloc 9 mem 0\nUDP: inuse 2 mem 0\n";

    #[test]
    fn only_the_named_number_of_the_named_line_counts() {
        assert!(!has(SOCKSTAT, "TCP:", "inuse"));
        assert!(has(SOCKSTAT, "TCP:", "tw"));
        assert!(has(SOCKSTAT, "UDP:", "inuse"));
    }

    #[test]
    fn what_is_not_said_may_be_there() {
        assert!(has(SOCKSTAT, "TCP6:", "inuse"));
        assert!(has("TCP: alloc 0\n", "TCP:", "inuse"));
    }
}
