//! The fields of a form as a browser sends them, and the two that every form has: what proves that it is one of ours, and
//! its key.

use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use crate::surfaces::http::problem::Problem;

/// The media type of forms.
pub const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// Fields of one form: beyond what any runbook asks for.
const FIELDS_MAX: usize = 500;
/// The field that proves that a form was read by whoever is signed in.
const CSRF: &str = "csrf";
/// The field with the key of the form: sent twice it is done once.
const KEY: &str = "key";

/// The fields of a form, each once.
///
/// # Errors
/// 400 if it is no form, or has one twice.
pub fn read(body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, text) in form_urlencoded::parse(body) {
        if fields.len() >= FIELDS_MAX {
            return Err(Problem::new(400, format!("the form has more than {FIELDS_MAX} fields")));
        }
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(Problem::new(400, format!("the field `{name}` is there twice")));
        }
        // Browsers end lines of a text in two characters.
        fields.push((name.into_owned(), text.replace("\r\n", "\n")));
    }
    Ok(fields)
}

/// Refuses a form that was not read by whoever is signed in, and takes that proof out.
///
/// # Errors
/// 403, with the way out.
pub fn prove(fields: &mut Vec<(String, String)>, expected: Option<&str>) -> Result<(), Problem> {
    let given = take(fields, CSRF).unwrap_or_default();
    match expected {
        Some(expected) if !bool::from(given.as_bytes().ct_eq(expected.as_bytes())) => {
            Err(Problem::new(403, "this form is not of the session it was sent in")
                .hint("go back, load the page anew, and send it again"))
        }
        _ => Ok(()),
    }
}

/// Takes the key of a form out of it.
pub fn key(fields: &mut Vec<(String, String)>) -> String {
    take(fields, KEY).unwrap_or_default()
}

/// A key for a form that is about to be shown.
pub fn new_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn take(fields: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let at = fields.iter().position(|(known, _)| known == name)?;
    Some(fields.remove(at).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_once_and_in_bounded_number() {
        assert_eq!(read(b"a=1&b=x%20y%0D%0Az").unwrap(), [("a".into(), "1".into()), ("b".into(), "x y\nz".into())]);
        assert!(read(b"a=1&a=2").unwrap_err().message.contains("twice"));
        let many: String = (0..=FIELDS_MAX).map(|n| format!("f{n}=&")).collect();
        assert_eq!(read(many.as_bytes()).unwrap_err().status, 400);
        assert_eq!(read(b"").unwrap(), []);
    }

    #[test]
    fn a_form_without_the_proof_of_its_session_is_refused() {
        let fields = || read(b"csrf=abc&key=k&x=1").unwrap();
        let mut good = fields();
        prove(&mut good, Some("abc")).unwrap();
        assert_eq!((key(&mut good), good), ("k".to_owned(), vec![("x".to_owned(), "1".to_owned())]));
        for wrong in ["", "abd", "abcd"] {
            assert_eq!(prove(&mut fields(), Some(wrong)).unwrap_err().status, 403, "{wrong}");
        }
        assert_eq!(prove(&mut Vec::new(), Some("abc")).unwrap_err().status, 403);
        prove(&mut fields(), None).unwrap();
    }
}
