//! Values with behaviour: secrets, unknowns, refused outputs, addresses.
//!
//! Each is a type of its own in Rhai, so that no function made for data accepts one by accident. What
//! isn't registered here or in `functions.rs` ends in [`missing`], which knows them.

use std::any::TypeId;

use rhai::{Dynamic, FuncRegistration, ImmutableString, Module, RhaiFunc};

use crate::script::address;
use crate::script::convert;
use crate::script::current::{self, End, Failure, failure};
use crate::script::secret::{Leaf, Part, SecretText};
use crate::script::value::Unknown;

/// A secret by reference.
#[derive(Clone, Debug)]
pub(super) struct Secret(pub(super) SecretText);

/// What a rehearsal can't know.
#[derive(Clone, Debug)]
pub(super) struct NotKnown(pub(super) Unknown);

/// Outputs that don't exist, with the reason.
#[derive(Clone, Debug)]
pub(super) struct Refused(pub(super) String);

/// An address that has been typed or checked.
#[derive(Clone, Debug)]
pub(super) struct Url {
    text: String,
    parsed: Option<url::Url>,
}

/// Stands for the type in Rhai's own messages; [`is_about_unknown`] looks for it.
const NOT_KNOWN: &str = "value not known yet";

const SECRET_ALLOWS: &str = "a secret can be passed on, joined with `+`, and given to base64, url_encode, json, \
                             hmac and same_as";

/// What else there is for a value that a step has sealed.
const SEALED_ALLOWS: &str = "two are compared by `same_as`, and one with a text by the step `secret.compare`";

impl Secret {
    /// Anything a secret doesn't allow. Can't be caught: a script must not learn by trying.
    pub(super) fn misused(&self, how: &str) -> Failure {
        let sealed = self.0.leaves().into_iter().find_map(|leaf| match leaf {
            Leaf::Sealed(sealed) => Some(&sealed.name),
            Leaf::Named(_) => None,
        });
        current::fatal(match sealed {
            None => format!("secret {} can't be used with {how}: {SECRET_ALLOWS}", self.0.names().join(", ")),
            Some(name) => format!(
                "sealed value {name} can't be used with {how}: {SECRET_ALLOWS}; {SEALED_ALLOWS}; to have its text, write \
                 `reveal: [{name}]` on the step that reads it"
            ),
        })
    }
}

impl NotKnown {
    /// Somebody wants to know.
    pub(super) fn read(&self) -> Failure {
        current::end(End::Unknown(self.0.clone()))
    }
}

impl Refused {
    /// Somebody uses it.
    pub(super) fn used(&self) -> Failure {
        current::fatal(self.0.clone())
    }
}

impl Url {
    /// An address as typed, printed without the slash of an empty path.
    pub(super) fn typed(text: &str) -> Url {
        let parsed = url::Url::parse(text).ok();
        let bare = parsed.as_ref().is_some_and(|url| url.path() == "/" && url.query().is_none());
        let text = if bare { text.strip_suffix('/').unwrap_or(text) } else { text };
        Url { text: text.to_owned(), parsed }
    }

    /// Checks that it is one.
    pub(super) fn checked(text: &str) -> Result<Url, Failure> {
        match url::Url::parse(text) {
            Ok(_) => Ok(Url::typed(text)),
            Err(error) => Err(failure(format!("\"{text}\" is not a url: {error}"))),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn part(&self, name: &str) -> Result<Dynamic, Failure> {
        let Some(url) = &self.parsed else { return Err(failure(format!("\"{}\" is not a url", self.text))) };
        match address::part(url, name) {
            Some(part) => Ok(convert::to_dynamic(part)),
            None => Err(failure(format!("a url has no `{name}`: it has {}", address::PARTS.join(", ")))),
        }
    }
}

/// Fails if `value` is one whose content can't be looked at. `how` ends "can't be used with".
pub(super) fn readable(value: &Dynamic, how: &str) -> Result<(), Failure> {
    if let Some(unknown) = value.read_lock::<NotKnown>() {
        return Err(unknown.read());
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return Err(secret.misused(how));
    }
    if let Some(refused) = value.read_lock::<Refused>() {
        return Err(refused.used());
    }
    Ok(())
}

/// As [`readable`], also inside lists and maps.
pub(super) fn readable_throughout(value: &Dynamic, how: &str) -> Result<(), Failure> {
    readable(value, how)?;
    if let Some(items) = value.read_lock::<rhai::Array>() {
        return items.iter().try_for_each(|item| readable_throughout(item, how));
    }
    if let Some(map) = value.read_lock::<rhai::Map>() {
        return map.values().try_for_each(|value| readable_throughout(value, how));
    }
    Ok(())
}

/// Whether an error of Rhai's own, as text, is one about an unknown: an `if` on one, an index by one.
pub(super) fn is_about_unknown(message: &str) -> bool {
    message.contains(NOT_KNOWN) || message.contains(std::any::type_name::<NotKnown>())
}

/// Called when no function takes these arguments: ends the evaluation if that is because of a leaf,
/// and gives an address to functions of strings.
pub(super) fn missing(
    name: &str,
    args: &mut [&mut Dynamic],
    context: &mut rhai::EvalContext,
) -> Result<Option<Dynamic>, Failure> {
    if current::ended() {
        return Err(current::terminated());
    }
    // Rhai offers a function of the script its arguments in several ways; these may fail.
    let of_script = |module: &Module| (0..=args.len() + 1).any(|count| module.get_script_fn(name, count).is_some());
    if context.iter_namespaces().any(of_script) {
        return Ok(None);
    }
    let how = format!("`{}`", name.trim_start_matches("get$").trim_start_matches("set$"));
    for arg in args.iter() {
        readable(arg, &how)?;
    }
    if !args.iter().any(|arg| arg.read_lock::<Url>().is_some()) {
        return Ok(None);
    }
    let mut texts: Vec<Dynamic> = args
        .iter()
        .map(|arg| match arg.read_lock::<Url>() {
            Some(url) => url.text().to_owned().into(),
            None => (**arg).clone(),
        })
        .collect();
    let mut texts: Vec<&mut Dynamic> = texts.iter_mut().collect();
    match context.call_native_fn_raw(name, true, &mut texts) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Ok(None),
    }
}

/// Registers the types and what can be done with them.
pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<Secret>("secret");
    module.set_custom_type::<NotKnown>(NOT_KNOWN);
    module.set_custom_type::<Refused>("refused");
    module.set_custom_type::<Url>("url");

    refuse::<NotKnown>(module, |value, _| value.read());
    refuse::<Refused>(module, |value, _| value.used());
    refuse::<Secret>(module, |value, how| value.misused(how));

    module.set_native_fn("+", |a: Secret, b: Secret| Ok(joined(Part::Secret(a.0), Part::Secret(b.0))));
    // Rhai's own would print the secret into the string; this one replaces the string by a secret,
    // which only a raw function may.
    FuncRegistration::new("+=").set_into_module_raw(
        module,
        [TypeId::of::<ImmutableString>(), TypeId::of::<Secret>()],
        RhaiFunc::Method {
            func: rhai::Shared::new(|_, args| {
                let added = args[1].take().cast::<Secret>();
                let text = args[0].to_string();
                *args[0] = Dynamic::from(joined(Part::Text(text), Part::Secret(added.0)));
                Ok(Dynamic::UNIT)
            }),
            has_context: false,
            is_pure: false,
            is_volatile: false,
        },
    );
    module.set_native_fn("+", |a: Secret, b: ImmutableString| Ok(joined(Part::Secret(a.0), Part::Text(b.to_string()))));
    module.set_native_fn("+", |a: ImmutableString, b: Secret| Ok(joined(Part::Text(a.to_string()), Part::Secret(b.0))));
    module.set_native_fn("+", |a: Secret, b: char| Ok(joined(Part::Secret(a.0), Part::Text(b.to_string()))));
    module.set_native_fn("+", |a: char, b: Secret| Ok(joined(Part::Text(a.to_string()), Part::Secret(b.0))));
    module.set_native_fn("+", |a: Secret, b: Url| Ok(joined(Part::Secret(a.0), Part::Text(b.text))));
    module.set_native_fn("+", |a: Url, b: Secret| Ok(joined(Part::Text(a.text), Part::Secret(b.0))));

    module.set_native_fn("to_string", |url: &mut Url| Ok(ImmutableString::from(url.text())));
    module.set_native_fn("print", |url: &mut Url| Ok(ImmutableString::from(url.text())));
    module.set_native_fn("to_debug", |url: &mut Url| Ok(ImmutableString::from(format!("{:?}", url.text()))));
    module.set_native_fn("debug", |url: &mut Url| Ok(ImmutableString::from(format!("{:?}", url.text()))));
    module.set_native_fn("+", |a: Url, b: ImmutableString| Ok(a.text + b.as_str()));
    module.set_indexer_get_fn(|url: &mut Url, part: ImmutableString| url.part(&part));
}

fn joined(first: Part, second: Part) -> Secret {
    Secret(SecretText::concat(vec![first, second]))
}

/// Registers what would otherwise be done silently: printing, keys, loops.
fn refuse<T: rhai::Variant + Clone>(module: &mut Module, used: fn(&T, &str) -> Failure) {
    for (name, how) in [
        ("to_string", "text: it has no printed form"),
        ("to_debug", "text: it has no printed form"),
        ("print", "`print`"),
        ("debug", "`debug`"),
    ] {
        module.set_native_fn(name, move |value: &mut T| -> Result<ImmutableString, Failure> { Err(used(value, how)) });
    }
    module
        .set_indexer_get_fn(move |value: &mut T, _: Dynamic| -> Result<Dynamic, Failure> { Err(used(value, "a key")) });
    module.set_indexer_set_fn(move |value: &mut T, _: Dynamic, _: Dynamic| -> Result<(), Failure> {
        Err(used(value, "assignment to a key"))
    });
    module.set_iter_result(TypeId::of::<T>(), move |value| {
        let failure = match value.read_lock::<T>() {
            Some(value) => used(&value, "`for`"),
            None => current::terminated(),
        };
        Box::new(std::iter::once(Err(failure)))
    });
}
