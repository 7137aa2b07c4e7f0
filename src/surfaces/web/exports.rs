//! What a run is taken away as: its postmortem, its page, its events, its picture. The same as `rerail export`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::shapes::story::{self, Format};
use crate::transcript::picture;

fn taken(call: &Call<'_>, format: Format, media_type: &'static str, end: &str) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    let row = call.run()?;
    let text = story::export(&call.runs, &row, format)?;
    // A short id is letters and digits alone.
    let name = format!("attachment; filename=\"rerail-{}.{end}\"", row.run.short());
    Ok(Answer::text(media_type, text).with("content-disposition", name))
}

/// The postmortem, as far as it writes itself.
pub fn markdown(call: &Call<'_>) -> Result<Answer, Problem> {
    taken(call, Format::Md, "text/markdown; charset=utf-8", "md")
}

/// One page with everything inside.
pub fn html(call: &Call<'_>) -> Result<Answer, Problem> {
    taken(call, Format::Html, "text/html; charset=utf-8", "html")
}

/// The events with their hashes.
pub fn jsonl(call: &Call<'_>) -> Result<Answer, Problem> {
    taken(call, Format::Jsonl, "application/x-ndjson", "jsonl")
}

/// Where the time went. Its own style is named by its hash: nothing else in it is obeyed.
pub fn svg(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&["at"])?;
    let row = call.run()?;
    let text = story::export(&call.runs, &row, Format::Svg)?;
    let hash = STANDARD.encode(Sha256::digest(picture::STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Ok(Answer::text("image/svg+xml", text).with("content-security-policy", policy))
}
