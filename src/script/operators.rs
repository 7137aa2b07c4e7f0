//! Comparisons: the same on every type and in every place, and an error between different types.
//!
//! Rhai answers `1 == "1"` with false and `#{} < 1` likewise, which in a runbook is a mistake that
//! takes the wrong branch. These replace its own, also inside `in`, `contains` and `index_of`.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, ImmutableString, Map, Module};

use crate::script::current::{self, Failure, failure};
use crate::script::leaves::{self, Url};

/// The word for the kind of a value in messages and from `type_of`.
pub(super) fn kind(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "()"
    } else if value.is_bool() {
        "bool"
    } else if value.is_int() {
        "int"
    } else if value.is_float() {
        "float"
    } else if value.is_string() || value.is_char() {
        "string"
    } else if value.is_array() {
        "list"
    } else if value.is_map() {
        "map"
    } else if value.is_fnptr() {
        "function"
    } else if value.read_lock::<Url>().is_some() {
        "url"
    } else if value.read_lock::<leaves::Secret>().is_some() {
        "secret"
    } else {
        "range"
    }
}

/// Text of what is one: a string, a character, an address.
fn text(value: &Dynamic) -> Option<String> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(text.to_string());
    }
    if let Some(url) = value.read_lock::<Url>() {
        return Some(url.text().to_owned());
    }
    value.as_char().ok().map(|letter| letter.to_string())
}

/// Whether two values are equal.
///
/// # Errors
/// They are of different types, neither is `()`, and they aren't int and float; or one of them can't
/// be looked at.
pub(super) fn equal(left: &Dynamic, right: &Dynamic) -> Result<bool, Failure> {
    leaves::readable(left, "`==`")?;
    leaves::readable(right, "`==`")?;
    if left.is_unit() || right.is_unit() {
        return Ok(left.is_unit() && right.is_unit());
    }
    if let (Ok(left), Ok(right)) = (left.as_bool(), right.as_bool()) {
        return Ok(left == right);
    }
    if let Some(order) = numbers(left, right) {
        return Ok(order == Some(Ordering::Equal));
    }
    if let (Some(left), Some(right)) = (text(left), text(right)) {
        return Ok(left == right);
    }
    if let (Some(left), Some(right)) = (left.read_lock::<Array>(), right.read_lock::<Array>()) {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (left, right) in left.iter().zip(right.iter()) {
            if current::progress() {
                return Err(current::terminated());
            }
            if !equal(left, right)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Some(left), Some(right)) = (left.read_lock::<Map>(), right.read_lock::<Map>()) {
        if !left.keys().eq(right.keys()) {
            return Ok(false);
        }
        for (left, right) in left.values().zip(right.values()) {
            if current::progress() {
                return Err(current::terminated());
            }
            if !equal(left, right)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Err(failure(format!("can't compare {} with {}", kind(left), kind(right))))
}

/// How two values are ordered; `None` if one of them is not a number (NaN).
///
/// # Errors
/// They are neither both numbers nor both text.
pub(super) fn order(left: &Dynamic, right: &Dynamic) -> Result<Option<Ordering>, Failure> {
    leaves::readable(left, "a comparison")?;
    leaves::readable(right, "a comparison")?;
    if let Some(order) = numbers(left, right) {
        return Ok(order);
    }
    if let (Some(left), Some(right)) = (text(left), text(right)) {
        return Ok(Some(left.cmp(&right)));
    }
    Err(failure(format!("can't order {} and {}", kind(left), kind(right))))
}

/// The order of two numbers; the outer `None` if they aren't both numbers.
fn numbers(left: &Dynamic, right: &Dynamic) -> Option<Option<Ordering>> {
    if let (Ok(left), Ok(right)) = (left.as_int(), right.as_int()) {
        return Some(Some(left.cmp(&right)));
    }
    let float = |value: &Dynamic| value.as_float().ok().or_else(|| value.as_int().ok().map(|number| number as f64));
    Some(float(left)?.partial_cmp(&float(right)?))
}

/// Registers the operators and `type_of`.
pub(super) fn register(module: &mut Module) {
    module.set_native_fn("==", |a: Dynamic, b: Dynamic| equal(&a, &b));
    module.set_native_fn("!=", |a: Dynamic, b: Dynamic| equal(&a, &b).map(|same| !same));
    // Rhai has its own for these two pairs, and an exact match wins.
    module.set_native_fn("==", |a: Array, b: Array| equal(&a.into(), &b.into()));
    module.set_native_fn("!=", |a: Array, b: Array| equal(&a.into(), &b.into()).map(|same| !same));
    module.set_native_fn("==", |a: Map, b: Map| equal(&a.into(), &b.into()));
    module.set_native_fn("!=", |a: Map, b: Map| equal(&a.into(), &b.into()).map(|same| !same));
    // The most frequent pairs by an exact match, which is found sooner.
    module.set_native_fn("==", |a: i64, b: i64| Ok(a == b));
    module.set_native_fn("!=", |a: i64, b: i64| Ok(a != b));
    module.set_native_fn("==", |a: ImmutableString, b: ImmutableString| Ok(a == b));
    module.set_native_fn("!=", |a: ImmutableString, b: ImmutableString| Ok(a != b));

    register_order(module, "<", Ordering::is_lt);
    register_order(module, "<=", Ordering::is_le);
    register_order(module, ">", Ordering::is_gt);
    register_order(module, ">=", Ordering::is_ge);

    module.set_native_fn(TYPE_OF, |value: Dynamic| {
        leaves::readable(&value, "`type_of`")?;
        Ok(kind(&value).to_owned())
    });
}

fn register_order(module: &mut Module, name: &str, holds: fn(Ordering) -> bool) {
    module.set_native_fn(name, move |a: Dynamic, b: Dynamic| Ok(order(&a, &b)?.is_some_and(holds)));
    module.set_native_fn(name, move |a: i64, b: i64| Ok(holds(a.cmp(&b))));
}

/// What `type_of` is called inside: Rhai's own knows no secrets and no unknowns, answers with names
/// of Rust types, and can't be replaced, so the parser renames it.
pub(super) const TYPE_OF: &str = "kind_of";
