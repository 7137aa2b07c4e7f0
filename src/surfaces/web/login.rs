//! The way in and out: by a link that was made on the terminal, or by a token.

use serde_json::json;

use crate::runs::token_digest;
use crate::surfaces::http::{Answer, Knock, Problem, by_token, clear, set};
use crate::surfaces::web::frame::{HTML, Page, outside};
use crate::surfaces::web::problems;
use crate::surfaces::web::sessions::{self, Who};

/// Characters of an address to come back to.
const NEXT_CHARS_MAX: usize = 2_000;

/// The way in. A code in the address is not used by being looked at: what previews links would use it up.
pub fn page(knock: &Knock<'_>) -> Result<Answer, Problem> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(knock.query.as_deref().unwrap_or_default().as_bytes()).into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
    write(200, get("code"), get("next").unwrap_or("/"), None)
}

/// The way in for somebody who asked for a page that is not for everybody.
pub fn asked(next: &str, problem: &Problem) -> Answer {
    // That nobody is signed in is no mistake to be told of.
    let fault = problem.hints.iter().any(|hint| hint == "sign in again").then_some(problem);
    write(401, None, next, fault).unwrap_or_else(|_| problems::alone(problem))
}

fn write(status: u16, code: Option<&str>, next: &str, fault: Option<&Problem>) -> Result<Answer, Problem> {
    let data = json!({ "code": code, "next": ours(next), "fault": fault.map(problems::fault) });
    let text = Page::new("login.html", "", "Sign in").write(&outside(), data)?;
    Ok(Answer { status, ..Answer::text(HTML, text) })
}

/// Begins a session for whoever shows a code or a token that is good.
pub fn sign_in(knock: &Knock<'_>) -> Result<Answer, Problem> {
    let get = |name: &str| knock.fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.trim());
    let next = ours(get("next").unwrap_or("/"));
    let again = |said: &str, hint: &str| write(401, None, &next, Some(&Problem::new(401, said).hint(hint)));
    let who = match (get("code"), get("token")) {
        (Some(code), _) => match sessions::take_code(&knock.runs, code)? {
            Some(who) => who,
            None => {
                return again("this link was used, or is older than a minute", "make a new one: rerail login-link");
            }
        },
        (None, Some(token)) => {
            let digest = token_digest(token);
            match by_token(&knock.runs, knock.server.local.as_ref(), digest, "web") {
                Ok(_) => Who::Token(digest),
                Err(problem) => return write(401, None, &next, Some(&problem)),
            }
        }
        (None, None) => return Err(Problem::new(400, "expected a `code` or a `token`")),
    };
    // Whoever was signed in here before is not any more.
    if let Some(old) = &knock.session {
        sessions::end(&knock.runs, old)?;
    }
    let secret = sessions::begin(&knock.runs, &who)?;
    Ok(Answer::see(&next).with("set-cookie", set(&secret, knock.declared)))
}

/// Ends a session.
pub fn sign_out(knock: &Knock<'_>) -> Result<Answer, Problem> {
    let given = knock.fields.iter().find(|(name, _)| name == "csrf").map(|(_, text)| text.as_str());
    if let Some(secret) = &knock.session
        && given == Some(sessions::csrf(secret).as_str())
    {
        sessions::end(&knock.runs, secret)?;
        return Ok(Answer::see("/login").with("set-cookie", clear(knock.declared)));
    }
    Ok(Answer::see("/login"))
}

/// An address of ours to go to; the first page for any other.
fn ours(next: &str) -> String {
    let path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    let plain = next.len() <= NEXT_CHARS_MAX && next.bytes().all(|byte| byte.is_ascii_graphic());
    let loops = next.starts_with("/login") || next.starts_with("/logout");
    if path && plain && !loops { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_anywhere_else_after_signing_in() {
        for good in ["/", "/runs/abc123?still=1", "/r/backend-down?url=https%3A%2F%2Fapi.example.com"] {
            assert_eq!(ours(good), good);
        }
        for bad in [
            "",
            "//evil.example.com",
            "/\\evil.example.com",
            "https://evil.example.com",
            "javascript:alert(1)",
            "/a\r\nb",
            "/login?next=/",
            "/logout",
            "/ä",
        ] {
            assert_eq!(ours(bad), "/", "{bad:?}");
        }
        assert_eq!(ours(&format!("/{}", "a".repeat(NEXT_CHARS_MAX))), "/");
    }
}
