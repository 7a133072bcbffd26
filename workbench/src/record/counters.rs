//! The counters of a host's network stack, before and after: `/proc/net/snmp`, `netstat`, `snmp6` (proc_net(5)).
//!
//! It says which changed and by how much, not what that means. Counters of packet rules are the lab's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};

use crate::evidence::CounterChange;

/// The files of the namespace that they were opened in.
pub struct CounterFiles {
    files: Vec<File>,
    before: BTreeMap<String, i64>,
}

impl CounterFiles {
    /// Opens them in the calling thread's network namespace, whose they stay.
    ///
    /// # Errors
    /// The kernel's. A kernel without IPv6 has no `snmp6`: that is none.
    pub fn open() -> io::Result<Self> {
        let open = |name: &str| File::open(format!("/proc/thread-self/net/{name}"));
        let mut files = vec![open("snmp")?, open("netstat")?];
        files.extend(open("snmp6").ok());
        Ok(Self { files, before: BTreeMap::new() })
    }

    /// Reads what changes are counted from.
    ///
    /// # Errors
    /// The kernel's.
    pub fn begin(&mut self) -> io::Result<()> {
        self.before = self.read()?;
        Ok(())
    }

    /// The counters that have changed since.
    ///
    /// # Errors
    /// The kernel's.
    pub fn changes(&mut self) -> io::Result<BTreeMap<String, CounterChange>> {
        let after = self.read()?;
        let change = |(name, after): (String, i64)| {
            let before = self.before.get(&name).copied().unwrap_or(0);
            (before != after).then_some((name, CounterChange { before, after }))
        };
        Ok(after.into_iter().filter_map(change).collect())
    }

    fn read(&mut self) -> io::Result<BTreeMap<String, i64>> {
        let mut all = BTreeMap::new();
        for file in &mut self.files {
            let mut text = String::new();
            file.rewind()?;
            file.read_to_string(&mut text)?;
            all.extend(parse(&text));
        }
        Ok(all)
    }
}

/// Counters by name, `Tcp.RetransSegs`, from any of the three files. Most have a line of names and one of numbers for
/// each protocol; `snmp6` has a line for each counter, whose name begins with its protocol's.
fn parse(text: &str) -> BTreeMap<String, i64> {
    let mut counters = BTreeMap::new();
    let mut names: Option<(&str, &str)> = None;
    for line in text.lines() {
        match (line.split_once(": "), names.take()) {
            (Some((protocol, numbers)), Some((named, words))) if named == protocol => {
                let pairs = words.split_whitespace().zip(numbers.split_whitespace());
                counters.extend(pairs.filter_map(|(name, n)| Some((format!("{protocol}.{name}"), n.parse().ok()?))));
            }
            (Some(line), _) => names = Some(line),
            (None, _) => counters.extend(ipv6_line(line)),
        }
    }
    counters
}

/// `Ip6InReceives   5`: the protocol ends with the first 6, `UdpLite6` among them.
fn ipv6_line(line: &str) -> Option<(String, i64)> {
    let mut words = line.split_whitespace();
    let (name, number) = (words.next()?, words.next()?.parse().ok()?);
    let (protocol, counter) = name.split_at_checked(name.find('6')? + 1)?;
    Some((format!("{protocol}.{counter}"), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_in_two_lines_are_paired() {
        let text = "Tcp: RtoAlgorithm MaxConn RetransSegs\nTcp: 1 -1 7\nUdp: InDatagrams\nUdp: 3\n";
        let expected = [("Tcp.MaxConn", -1), ("Tcp.RetransSegs", 7), ("Tcp.RtoAlgorithm", 1), ("Udp.InDatagrams", 3)];
        assert_eq!(parse(text), expected.map(|(name, n)| (name.to_owned(), n)).into());
    }

    #[test]
    fn ipv6_has_a_line_for_each_counter() {
        let text = "Ip6InReceives                   \t5\nIcmp6OutType133 2\nUdpLite6InErrors 0\n";
        let expected = [("Icmp6.OutType133", 2), ("Ip6.InReceives", 5), ("UdpLite6.InErrors", 0)];
        assert_eq!(parse(text), expected.map(|(name, n)| (name.to_owned(), n)).into());
    }

    #[test]
    fn a_line_of_names_without_numbers_and_an_empty_file_say_nothing() {
        assert_eq!(parse("TcpExt: TCPTimeouts\nIpExt: InOctets\n"), BTreeMap::new());
        assert_eq!(parse(""), BTreeMap::new());
    }
}
