//! Functions of lists and maps that call back into the script.
//!
//! Rhai's own take a predicate that isn't true or false for false, and `sort` and `dedup` go on when
//! the comparison failed. These stop.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, FnPtr, Map, Module, NativeCallContext};

use crate::script::current::{self, Failure, failure};
use crate::script::{leaves, operators};

/// Registers them.
pub(super) fn register(module: &mut Module) {
    register_predicates(module);
    register_searches(module);
    register_orders(module);
    register_maps(module);
    // Rhai takes the name of a function here as text, without looking what it answers.
    for name in ["map", "filter", "some", "all", "dedup", "reduce"] {
        module.set_native_fn(name, move |_: &mut Array, _: &str| -> Result<Dynamic, Failure> {
            Err(failure(format!("`{name}` takes a function such as |x| x, not string")))
        });
    }
    module.set_native_fn("join", |list: Array, between: &str| join(list, between));
    module.set_native_fn("join", |list: Array| join(list, ""));
}

/// What `predicate` says of an item.
fn holds(
    context: &NativeCallContext,
    name: &str,
    predicate: &FnPtr,
    item: &mut Dynamic,
    index: usize,
) -> Result<bool, Failure> {
    let answer = predicate.call_raw_with_extra_args(name, context, Some(item), [], [(index as i64).into()], Some(0))?;
    truth(name, &answer)
}

fn truth(name: &str, answer: &Dynamic) -> Result<bool, Failure> {
    if current::ended() {
        return Err(current::terminated());
    }
    leaves::readable(answer, &format!("`{name}`"))?;
    answer.as_bool().map_err(|_| {
        failure(format!("the function given to `{name}` has to answer bool, not {}", operators::kind(answer)))
    })
}

fn register_predicates(module: &mut Module) {
    module.set_native_fn("filter", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        let mut kept = Array::new();
        for (index, item) in list.iter_mut().enumerate() {
            if holds(&context, "filter", &predicate, item, index)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    });
    module.set_native_fn("some", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        for (index, item) in list.iter_mut().enumerate() {
            if holds(&context, "some", &predicate, item, index)? {
                return Ok(true);
            }
        }
        Ok(false)
    });
    module.set_native_fn("all", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        for (index, item) in list.iter_mut().enumerate() {
            if !holds(&context, "all", &predicate, item, index)? {
                return Ok(false);
            }
        }
        Ok(true)
    });
    module.set_native_fn("drain", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        let (taken, left) = divide(&context, "drain", list, &predicate)?;
        *list = left;
        Ok(taken)
    });
    module.set_native_fn("retain", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        let (kept, removed) = divide(&context, "retain", list, &predicate)?;
        *list = kept;
        Ok(removed)
    });
}

fn divide(
    context: &NativeCallContext,
    name: &str,
    list: &mut Array,
    predicate: &FnPtr,
) -> Result<(Array, Array), Failure> {
    let (mut yes, mut no) = (Array::new(), Array::new());
    for (index, item) in list.iter_mut().enumerate() {
        let side = if holds(context, name, predicate, item, index)? { &mut yes } else { &mut no };
        side.push(item.clone());
    }
    Ok((yes, no))
}

fn register_searches(module: &mut Module) {
    module.set_native_fn("find", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        Ok(position(&context, "find", list, &predicate, 0)?.map_or(Dynamic::UNIT, |index| list[index].clone()))
    });
    module.set_native_fn("find", |context: NativeCallContext, list: &mut Array, predicate: FnPtr, start: i64| {
        Ok(position(&context, "find", list, &predicate, start)?.map_or(Dynamic::UNIT, |index| list[index].clone()))
    });
    module.set_native_fn("index_of", |context: NativeCallContext, list: &mut Array, predicate: FnPtr| {
        Ok(position(&context, "index_of", list, &predicate, 0)?.map_or(-1, |index| index as i64))
    });
    module.set_native_fn("index_of", |context: NativeCallContext, list: &mut Array, predicate: FnPtr, start: i64| {
        Ok(position(&context, "index_of", list, &predicate, start)?.map_or(-1, |index| index as i64))
    });
    // With a string Rhai would call the function of that name instead of looking for the string.
    module.set_native_fn("index_of", |list: &mut Array, text: &str| place_of(list, text, 0));
    module.set_native_fn("index_of", |list: &mut Array, text: &str, start: i64| place_of(list, text, start));
}

/// An index from the start, or from the end if negative.
fn offset(length: usize, start: i64) -> usize {
    let distance = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    if start < 0 { length.saturating_sub(distance) } else { distance.min(length) }
}

fn position(
    context: &NativeCallContext,
    name: &str,
    list: &mut Array,
    predicate: &FnPtr,
    start: i64,
) -> Result<Option<usize>, Failure> {
    let start = offset(list.len(), start);
    for (index, item) in list.iter_mut().enumerate().skip(start) {
        if holds(context, name, predicate, item, index)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn place_of(list: &Array, text: &str, start: i64) -> Result<i64, Failure> {
    let text = Dynamic::from(text.to_owned());
    for (index, item) in list.iter().enumerate().skip(offset(list.len(), start)) {
        if operators::equal(item, &text)? {
            return Ok(index as i64);
        }
    }
    Ok(-1)
}

fn register_orders(module: &mut Module) {
    type Sort = fn(&NativeCallContext, &mut Array) -> Result<(), Failure>;
    let plain: Sort = |_, list| sort(list, &mut ascending);
    let reversed: Sort = |_, list| sort(list, &mut |a, b| ascending(b, a));
    for (in_place, copied, by) in [("sort", "order", plain), ("sort_desc", "order_desc", reversed)] {
        module.set_native_fn(in_place, move |context: NativeCallContext, list: &mut Array| by(&context, list));
        module.set_native_fn(copied, move |context: NativeCallContext, list: &mut Array| {
            let mut list = list.clone();
            by(&context, &mut list)?;
            Ok(list)
        });
    }
    for name in ["sort", "sort_by"] {
        module.set_native_fn(name, move |context: NativeCallContext, list: &mut Array, comparison: FnPtr| {
            sort(list, &mut |a, b| compared(&context, name, &comparison, a, b))
        });
    }
    for name in ["order", "order_by"] {
        module.set_native_fn(name, move |context: NativeCallContext, list: &mut Array, comparison: FnPtr| {
            let mut list = list.clone();
            sort(&mut list, &mut |a, b| compared(&context, name, &comparison, a, b))?;
            Ok(list)
        });
    }
    module.set_native_fn("dedup", |list: &mut Array| dedup(list, &mut operators::equal));
    module.set_native_fn("dedup", |context: NativeCallContext, list: &mut Array, same: FnPtr| {
        dedup(list, &mut |a, b| truth("dedup", &same.call_raw(&context, None, [a.clone(), b.clone()])?))
    });
}

fn ascending(a: &Dynamic, b: &Dynamic) -> Result<Ordering, Failure> {
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a.cmp(&b));
    }
    Ok(operators::order(a, b)?.unwrap_or(Ordering::Equal))
}

/// The answer of a script's comparison: a number below, at or above zero, or whether `a` comes first.
fn compared(
    context: &NativeCallContext,
    name: &str,
    comparison: &FnPtr,
    a: &Dynamic,
    b: &Dynamic,
) -> Result<Ordering, Failure> {
    let answer = comparison.call_raw(context, None, [a.clone(), b.clone()])?;
    if let Ok(number) = answer.as_int() {
        return Ok(number.cmp(&0));
    }
    Ok(if truth(name, &answer)? { Ordering::Less } else { Ordering::Greater })
}

/// A stable merge sort that stops at the first failure. The standard library's can't fail, and may
/// panic when a comparison contradicts itself.
fn sort(
    list: &mut Array,
    compare: &mut dyn FnMut(&Dynamic, &Dynamic) -> Result<Ordering, Failure>,
) -> Result<(), Failure> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    let mut merged = Vec::with_capacity(order.len());
    let mut width = 1;
    while width < order.len() {
        merged.clear();
        for pair in order.chunks(width * 2) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(l), Some(r)) = (left.first(), right.first()) {
                if current::progress() {
                    return Err(current::terminated());
                }
                if compare(&list[*l], &list[*r])? == Ordering::Greater {
                    merged.push(*r);
                    right = &right[1..];
                } else {
                    merged.push(*l);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        width *= 2;
    }
    *list = order.iter().map(|index| std::mem::take(&mut list[*index])).collect();
    Ok(())
}

fn dedup(list: &mut Array, same: &mut dyn FnMut(&Dynamic, &Dynamic) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut kept: Array = Array::new();
    for item in list.iter() {
        let repeated = match kept.last() {
            Some(last) => same(last, item)?,
            None => false,
        };
        if !repeated {
            kept.push(item.clone());
        }
    }
    *list = kept;
    Ok(())
}

fn register_maps(module: &mut Module) {
    module.set_native_fn("filter", |context: NativeCallContext, map: &mut Map, predicate: FnPtr| {
        Ok(divide_map(&context, "filter", map, &predicate)?.0)
    });
    module.set_native_fn("drain", |context: NativeCallContext, map: &mut Map, predicate: FnPtr| {
        let (taken, left) = divide_map(&context, "drain", map, &predicate)?;
        *map = left;
        Ok(taken)
    });
    module.set_native_fn("retain", |context: NativeCallContext, map: &mut Map, predicate: FnPtr| {
        let (kept, removed) = divide_map(&context, "retain", map, &predicate)?;
        *map = kept;
        Ok(removed)
    });
}

fn divide_map(
    context: &NativeCallContext,
    name: &str,
    map: &mut Map,
    predicate: &FnPtr,
) -> Result<(Map, Map), Failure> {
    let (mut yes, mut no) = (Map::new(), Map::new());
    for (key, value) in map.iter_mut() {
        let args = [Dynamic::from(key.to_string())];
        let answer = predicate.call_raw_with_extra_args(name, context, Some(value), args, [], Some(1))?;
        let side = if truth(name, &answer)? { &mut yes } else { &mut no };
        side.insert(key.clone(), value.clone());
    }
    Ok((yes, no))
}

fn join(list: Array, between: &str) -> Result<String, Failure> {
    let mut text = String::new();
    for (index, item) in list.into_iter().enumerate() {
        leaves::readable(&item, "`join`")?;
        if index > 0 {
            text.push_str(between);
        }
        match operators::kind(&item) {
            "string" | "int" | "float" | "bool" | "url" => text.push_str(&plain(&item)),
            kind => return Err(failure(format!("`join` takes a list of strings and numbers, not {kind}"))),
        }
        if text.len() > crate::script::limits::STRING_BYTES_MAX {
            return Err(current::exceeded(format!(
                "a string has more than {} KiB",
                crate::script::limits::STRING_BYTES_MAX >> 10
            )));
        }
    }
    Ok(text)
}

/// A scalar as it is printed.
pub(super) fn plain(item: &Dynamic) -> String {
    match item.read_lock::<leaves::Url>() {
        Some(url) => url.text().to_owned(),
        None => item.to_string(),
    }
}
