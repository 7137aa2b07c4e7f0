//! The span of somebody else that a run goes on from: `traceparent` of the W3C.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A `traceparent` of version 00: whose trace, whose span, and whether they keep it. Hexadecimal digits and nothing else, so
/// it can be recorded and sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent {
    /// Never 0.
    pub trace: u128,
    /// Never 0.
    pub span: u64,
    pub sampled: bool,
}

/// The bit of the flags that says that it is kept.
const SAMPLED: u8 = 1;

impl FromStr for Traceparent {
    type Err = String;

    /// Reads one. A version to come may have more fields behind these, and is read as this one.
    fn from_str(text: &str) -> Result<Traceparent, String> {
        let fault = || "expected a `traceparent` such as 00-<32 digits>-<16 digits>-01, in lower case".to_owned();
        let mut fields = text.split('-');
        let mut field =
            |digits: usize| fields.next().filter(|text| text.len() == digits && is_hex(text)).ok_or_else(fault);
        let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let more = fields.next().is_some();
        if version == "ff" || (version == "00" && more) {
            return Err(fault());
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| fault())?;
        let span = u64::from_str_radix(span, 16).map_err(|_| fault())?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| fault())?;
        if trace == 0 || span == 0 {
            return Err(fault());
        }
        Ok(Traceparent { trace, span, sampled: flags & SAMPLED != 0 })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled) * SAMPLED)
    }
}

impl TryFrom<String> for Traceparent {
    type Error = String;

    fn try_from(text: String) -> Result<Traceparent, String> {
        text.parse()
    }
}

impl From<Traceparent> for String {
    fn from(parent: Traceparent) -> String {
        parent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it_and_as_nothing_else() {
        const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent: Traceparent = TEXT.parse().unwrap();
        assert_eq!(parent.to_string(), TEXT);
        assert!(parent.sampled);
        assert!(!"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse::<Traceparent>().unwrap().sampled);
        // Of a version to come: its first fields mean the same, its further flags nothing to us.
        let later: Traceparent = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-what".parse().unwrap();
        assert_eq!(later.to_string(), TEXT);
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert!(wrong.parse::<Traceparent>().is_err(), "{wrong}");
        }
    }
}
