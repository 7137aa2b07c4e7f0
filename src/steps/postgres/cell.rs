//! Values of PostgreSQL as values of runbooks, and the other way round.

use std::error::Error;
use std::net::IpAddr;

use bytes::BytesMut;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::script::value::Value;

/// Groups of four digits in a numeric: its longest has 131072 digits before the point and 16383 after it.
const NUMERIC_GROUPS_MAX: usize = (131_072 + 16_383) / 4 + 2;
/// Digits of one group of a numeric.
const GROUP_DIGITS: usize = 4;

type Problem = Box<dyn Error + Sync + Send>;

/// Types that [`Cell`] reads; others are cast to text by whoever asks.
pub(in crate::steps) fn is_readable(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(inner) | Kind::Array(inner) => is_readable(inner),
        _ => READABLE.contains(ty),
    }
}

const READABLE: [Type; 25] = [
    Type::VOID,
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::UNKNOWN,
    Type::CHAR,
    Type::XML,
    Type::JSON,
    Type::JSONB,
    Type::UUID,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::TIME,
    Type::INTERVAL,
    Type::INET,
];

/// A value read from a row.
pub(in crate::steps) struct Cell(pub Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Cell, Problem> {
        if let Kind::Domain(inner) = ty.kind() {
            return Cell::from_sql(inner, raw);
        }
        if let Kind::Array(_) = ty.kind() {
            let items = Vec::<Cell>::from_sql(ty, raw)?;
            return Ok(Cell(Value::List(items.into_iter().map(|cell| cell.0).collect())));
        }
        let text = |text: String| Value::Text(text);
        Ok(Cell(match *ty {
            // What a function gives that is called for what it does.
            Type::VOID => Value::Null,
            Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::OID => Value::Int(u32::from_sql(ty, raw)?.into()),
            Type::FLOAT4 => float(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => float(f64::from_sql(ty, raw)?),
            Type::NUMERIC => text(numeric(raw)?),
            Type::CHAR => text(char::from(u8::try_from(i8::from_sql(ty, raw)?).unwrap_or(b'?')).to_string()),
            Type::JSON | Type::JSONB => Value::from_data(&serde_json::Value::from_sql(ty, raw)?),
            Type::UUID => text(Uuid::from_slice(raw)?.to_string()),
            Type::TIMESTAMPTZ => text(Timestamp::from_sql(ty, raw).map_or_else(|_| endless(raw), |at| at.to_string())),
            Type::TIMESTAMP => text(DateTime::from_sql(ty, raw).map_or_else(|_| endless(raw), |at| at.to_string())),
            Type::DATE => text(Date::from_sql(ty, raw).map_or_else(|_| endless(raw), |day| day.to_string())),
            Type::TIME => text(Time::from_sql(ty, raw)?.to_string()),
            Type::INTERVAL => text(interval(raw)?),
            Type::INET => text(IpAddr::from_sql(ty, raw)?.to_string()),
            _ => text(std::str::from_utf8(raw)?.to_owned()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Cell, Problem> {
        Ok(Cell(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        is_readable(ty)
    }
}

/// Numbers that JSON can't hold are written as PostgreSQL writes them.
fn float(number: f64) -> Value {
    match number {
        number if number.is_finite() => Value::Float(number),
        number if number.is_nan() => Value::from("NaN"),
        number if number > 0.0 => Value::from("Infinity"),
        _ => Value::from("-Infinity"),
    }
}

/// A moment beyond the calendar: both ends of time are written as the least and the greatest number.
fn endless(raw: &[u8]) -> String {
    if raw.first().is_some_and(|first| *first >= 0x80) { "-infinity".to_owned() } else { "infinity".to_owned() }
}

/// A numeric with all its digits: four digits a group, the first of weight 10000^weight.
fn numeric(raw: &[u8]) -> Result<String, Problem> {
    const NEGATIVE: u16 = 0x4000;
    const SPECIAL: u16 = 0xC000;
    let word = |at: usize| -> Result<u16, Problem> {
        let bytes = raw.get(2 * at..2 * at + 2).ok_or("a numeric that is cut off")?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (groups, weight, sign, scale) =
        (usize::from(word(0)?), word(1)?.cast_signed(), word(2)?, usize::from(word(3)?));
    if groups > NUMERIC_GROUPS_MAX {
        return Err("a numeric that is longer than there are".into());
    }
    if sign & SPECIAL == SPECIAL {
        return Ok(match sign {
            0xD000 => "Infinity",
            0xF000 => "-Infinity",
            _ => "NaN",
        }
        .to_owned());
    }
    let group = |place: i32| -> Result<u16, Problem> {
        match usize::try_from(i32::from(weight) - place) {
            Ok(index) if index < groups => word(4 + index),
            _ => Ok(0),
        }
    };
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    }
    for place in (0..=i32::from(weight)).rev() {
        let digits = group(place)?;
        text.push_str(&if place == i32::from(weight) { digits.to_string() } else { format!("{digits:04}") });
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", group(place)?));
            place -= 1;
        }
        debug_assert!(fraction.len() < scale + GROUP_DIGITS);
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Ok(text)
}

/// An interval in the form of ISO 8601: `P1M2DT3H4M5.6S`. Its three parts don't convert into each other.
fn interval(raw: &[u8]) -> Result<String, Problem> {
    let raw: [u8; 16] = raw.try_into().map_err(|_| "an interval that is cut off")?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let micros = number(&raw[..8]).cast_signed();
    let part = |bytes: &[u8]| u32::try_from(number(bytes)).unwrap_or_default().cast_signed();
    let (days, months) = (part(&raw[8..12]), part(&raw[12..]));
    let mut text = String::from("P");
    for (number, unit) in [(i64::from(months), 'M'), (i64::from(days), 'D')] {
        if number != 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if micros != 0 || text == "P" {
        let sign = if micros < 0 { "-" } else { "" };
        let all = micros.unsigned_abs();
        let (hours, minutes) = (all / 3_600_000_000, all / 60_000_000 % 60);
        let (seconds, rest) = (all / 1_000_000 % 60, all % 1_000_000);
        text.push('T');
        for (number, unit) in [(hours, 'H'), (minutes, 'M')] {
            if number != 0 {
                text.push_str(&format!("{sign}{number}{unit}"));
            }
        }
        if seconds != 0 || rest != 0 || text.ends_with('T') {
            let fraction = format!(".{rest:06}");
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            text.push_str(&format!("{sign}{seconds}{fraction}S"));
        }
    }
    Ok(text)
}

/// A value given as a parameter: sent as text, read by the server as the type that stands there.
#[derive(Debug)]
pub(in crate::steps) struct Param(pub Option<String>);

impl Param {
    /// Lists and maps go as JSON.
    pub(in crate::steps) fn of(value: &Value) -> Param {
        Param(match value {
            Value::Null => None,
            value => Some(value.to_string()),
        })
    }
}

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Problem> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_keep_every_digit() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        for (raw, text) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[1, 0, 0, 0, 7], "7"),
            (&[1, 1, 0, 0, 7], "70000"),
            (&[2, 0, 0x4000, 2, 12, 3400], "-12.34"),
            (&[1, 0xffff, 0, 3, 1230], "0.123"),
            (&[1, 0xfffe, 0, 6, 1200], "0.000012"),
            (&[3, 1, 0, 1, 1, 2, 5000], "10002.5"),
            (&[0, 0, 0xC000, 0], "NaN"),
            (&[0, 0, 0xF000, 0], "-Infinity"),
        ] {
            assert_eq!(numeric(&words(raw)).unwrap(), text, "{raw:?}");
        }
        for broken in [&[][..], &[1, 0, 0, 0], &[0xffff, 0, 0, 0]] {
            assert!(numeric(&words(broken)).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn intervals_are_written_in_their_parts() {
        let raw = |micros: i64, days: i32, months: i32| {
            [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
        };
        for (micros, days, months, text) in [
            (0, 0, 0, "PT0S"),
            (5_600_000, 0, 0, "PT5.6S"),
            (3_600_000_000 * 26 + 60_000_000, 0, 0, "PT26H1M"),
            (-1, 2, 14, "P14M2DT-0.000001S"),
            (0, -3, 0, "P-3D"),
        ] {
            assert_eq!(interval(&raw(micros, days, months)).unwrap(), text);
        }
        assert!(interval(&[0; 15]).is_err());
    }
}
