//! The stylesheet, the script and the icon: texts of this program that never change while it runs.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// The stylesheet.
pub const STYLE: &str = include_str!("style.css");
/// The script: relative times, copying, what is told live. Pages work without it.
pub const SCRIPT: &str = include_str!("live.js");
/// The icon in the tab.
pub const ICON: &str = include_str!("icon.svg");

/// Where the stylesheet is; another one has another address, so that a browser may keep it.
pub fn style_url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| versioned("/web/style.css", STYLE));
    &URL
}

/// Where the script is.
pub fn script_url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| versioned("/web/live.js", SCRIPT));
    &URL
}

fn versioned(path: &str, text: &str) -> String {
    let digest = crate::script::hex::hex(&Sha256::digest(text.as_bytes()));
    format!("{path}?v={}", digest.get(..12).unwrap_or_default())
}
