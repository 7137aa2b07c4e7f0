//! `OP_MSG` with the command `hello`, and the document of its reply: as much BSON as that takes.

use std::collections::BTreeMap;

/// The operation code of a message.
const OP_MSG: i32 = 2013;
/// Bytes of a reply: a server says a kilobyte of itself; a large replica set, some.
pub(in crate::steps) const REPLY_BYTES_MAX: usize = 256 * 1024;
/// Items of a reply that are looked at.
const ITEMS_MAX: usize = 1000;
/// Bytes of a reply before its document: the rest of the header, the flags, the kind of the section.
const HEAD_BYTES: usize = 12 + 4 + 1;

/// A value that somebody looks at; of all others only that they are there.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::steps) enum Item {
    Text(String),
    Number(i64),
    Truth(bool),
    Other,
}

impl Item {
    pub(in crate::steps) fn text(&self) -> Option<&str> {
        match self {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::steps) fn number(&self) -> Option<i64> {
        match self {
            Item::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(in crate::steps) fn truth(&self) -> Option<bool> {
        match self {
            Item::Truth(truth) => Some(*truth),
            _ => None,
        }
    }
}

/// The whole message `{ hello: 1, $db: "admin" }`, which anybody may ask without a login.
pub(in crate::steps) fn hello() -> Vec<u8> {
    let mut document = Vec::new();
    document.extend(b"\x10hello\0");
    document.extend(1_i32.to_le_bytes());
    document.extend(b"\x02$db\0");
    document.extend(6_i32.to_le_bytes());
    document.extend(b"admin\0\0");
    let mut body = Vec::new();
    // Its own number, no answer to anything, no flags, one document.
    for number in [1, 0, OP_MSG, 0] {
        body.extend(number.to_le_bytes());
    }
    body.push(0);
    body.extend(length(4 + document.len()));
    body.extend(document);
    [&length(4 + body.len())[..], &body].concat()
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// The document of a reply, without the four bytes of its length; nothing if it is no such reply.
pub(in crate::steps) fn document(reply: &[u8]) -> Option<BTreeMap<String, Item>> {
    let (head, document) = reply.split_at_checked(HEAD_BYTES)?;
    if head.get(8..12)? != OP_MSG.to_le_bytes() || head[16] != 0 {
        return None;
    }
    items(document)
}

fn items(document: &[u8]) -> Option<BTreeMap<String, Item>> {
    let mut rest = Rest(document);
    let size = usize::try_from(rest.i32()?).ok()?;
    rest.0 = rest.0.get(..size.checked_sub(4)?)?;
    let mut items = BTreeMap::new();
    loop {
        let kind = rest.take(1)?[0];
        if kind == 0 {
            return Some(items);
        }
        if items.len() >= ITEMS_MAX {
            return None;
        }
        let name = rest.name()?;
        items.insert(name, rest.item(kind)?);
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn name(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(self.take(end)?).ok()?.to_owned();
        self.take(1)?;
        Some(name)
    }

    fn item(&mut self, kind: u8) -> Option<Item> {
        let fixed = |rest: &mut Self, count| rest.take(count).map(|_| Item::Other);
        match kind {
            0x01 => {
                let number = f64::from_le_bytes(self.take(8)?.try_into().ok()?);
                // `ok` is a float. Whoever says something else than a small whole number is not understood.
                let whole = number.fract() == 0.0 && number.abs() < 1e9;
                #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
                Some(if whole { Item::Number(number as i64) } else { Item::Other })
            }
            0x02 => {
                let size = usize::try_from(self.i32()?).ok()?;
                let text = self.take(size)?.strip_suffix(&[0])?;
                Some(Item::Text(String::from_utf8_lossy(text).into_owned()))
            }
            // A document or a list, with its own length in front.
            0x03 | 0x04 => {
                let size = usize::try_from(self.i32()?).ok()?.checked_sub(4)?;
                fixed(self, size)
            }
            0x05 => {
                let size = usize::try_from(self.i32()?).ok()?.checked_add(1)?;
                fixed(self, size)
            }
            0x07 => fixed(self, 12),
            0x08 => Some(Item::Truth(self.take(1)?[0] != 0)),
            0x09 | 0x11 => fixed(self, 8),
            0x0a => Some(Item::Other),
            0x10 => Some(Item::Number(i64::from(self.i32()?))),
            0x12 => Some(Item::Number(self.i64()?)),
            0x13 => fixed(self, 16),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reply as a server writes it, behind the length.
    fn reply(document: &[u8]) -> Vec<u8> {
        let mut bytes = [[7_i32, 1, OP_MSG, 0].map(i32::to_le_bytes).concat(), vec![0]].concat();
        bytes.extend(length(document.len() + 5));
        bytes.extend(document);
        bytes.push(0);
        bytes
    }

    #[test]
    fn the_question_is_the_bytes_of_the_protocol() {
        let expected = b"\x34\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
        assert_eq!(hello(), expected[..]);
        assert_eq!(hello().len(), usize::from(hello()[0]));
    }

    #[test]
    fn what_is_said_is_read_and_the_rest_passed_over() {
        let document = [
            &b"\x08isWritablePrimary\0\x01"[..],
            b"\x03topologyVersion\0\x09\0\0\0\x08a\0\x01\0",
            b"\x04hosts\0\x05\0\0\0\0",
            b"\x07processId\0abcdefghijkl",
            b"\x09localTime\0\0\0\0\0\0\0\0\0",
            b"\x05bin\0\x02\0\0\0\0xx",
            b"\x0anothing\0",
            b"\x11time\0\0\0\0\0\0\0\0\0",
            b"\x12long\0\x05\0\0\0\0\0\0\0",
            b"\x13dec\0aaaaaaaaaaaaaaaa",
            b"\x10maxWireVersion\0\x15\0\0\0",
            b"\x02setName\0\x04\0\0\0rs0\0",
            b"\x01ok\0\0\0\0\0\0\0\xf0\x3f",
        ]
        .concat();
        let read = super::document(&reply(&document[..])).unwrap();
        assert_eq!(read["isWritablePrimary"].truth(), Some(true));
        assert_eq!(read["maxWireVersion"].number(), Some(21));
        assert_eq!(
            (read["setName"].text(), read["ok"].number(), read["long"].number()),
            (Some("rs0"), Some(1), Some(5))
        );
        assert_eq!((read.len(), &read["hosts"]), (13, &Item::Other));
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_no_reply() {
        let whole = reply(b"\x02setName\0\x04\0\0\0rs0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f");
        assert!(document(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(document(&whole[..cut]), None, "cut after {cut} bytes");
        }
        assert_eq!(document(&reply(b"\x7fx\0")), None, "a kind nobody knows the length of");
        assert_eq!(document(&reply(b"\x02x\0\xff\xff\xff\xff")), None, "less than nothing");
        assert_eq!(document(b"HTTP/1.1 400 Bad Request\r\n\r\n"), None);
        let many: Vec<u8> = (0..=ITEMS_MAX).flat_map(|at| format!("\x0a{at}\0").into_bytes()).collect();
        assert_eq!(document(&reply(&many)), None);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            document(&bytes);
            document(&reply(&bytes));
        }
    }
}
