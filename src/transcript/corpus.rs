//! What a hostile target, file or person can say, and what a browser may find of it. Names nothing else of this
//! crate, so that the tests of the binary include it as it is.

/// Texts that would do something if they got through.
pub(crate) const CORPUS: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' x='",
    "</style><svg onload=alert(1)>",
    "</title></pre></td></table><iframe src=//evil.example.com>",
    "<!-- --><![CDATA[x]]><?php x ?><!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]>&y;",
    "javascript:alert(1)",
    "![i](http://evil.example.com/i.png) [l](http://evil.example.com) <http://evil.example.com> www.evil.example.com",
    "`c` ```\n# head\n| x | y |\n|---|---|\n- item\n\n    code\n[ref]: http://evil.example.com\n<b>bold</b>",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u{9b}31m\x1b]8;;http://evil.example.com\x1b\\click\x1b]8;;\x1b\\",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{e0041}",
    "nul\0tab\tcr\rvt\x0bdel\x7fnonchar\u{ffff}",
    "]]>&#60;script&#62;&lt;script&gt;%3Cscript%3E",
    "\"]; click n0 href \"http://evil.example.com\"\nend\n%%{init: {}}%%",
];

/// Panics if a browser would find anything but known, passive elements and attributes.
#[track_caller]
pub(crate) fn assert_inert(page: &str) {
    const ELEMENTS: [&str; 43] = [
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "pre", "code", "b", "span", "div", "dl",
        "dt", "dd", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "svg", "defs", "pattern", "g", "path",
        "rect", "circle", "text", "desc", "ins", "del", "ol", "h3", "section", "header", "footer", "tspan", "marker",
    ];
    const ATTRIBUTES: [&str; 33] = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "scope",
        "xmlns",
        "role",
        "viewbox",
        "id",
        "width",
        "height",
        "x",
        "y",
        "cx",
        "cy",
        "r",
        "d",
        "fill",
        "patternunits",
        "patterntransform",
        "xml:space",
        "rx",
        "text-anchor",
        "colspan",
        "refx",
        "refy",
        "markerwidth",
        "markerheight",
        "orient",
        "marker-end",
        "aria-label",
    ];
    for token in html5gum::Tokenizer::new(page) {
        let Ok(token) = token;
        match token {
            html5gum::Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(ELEMENTS.contains(&name.as_str()), "<{name}> in {page}");
                for (key, value) in &tag.attributes {
                    let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(&value.value));
                    assert!(ATTRIBUTES.contains(&&*key), "{key}= in <{name}> of {page}");
                    let elsewhere = value.contains("url(") && !value.starts_with("url(#rr-");
                    assert!(!elsewhere && !value.contains("//") || key == "xmlns", "{key}={value} in {page}");
                }
            }
            html5gum::Token::Comment(_) => panic!("a comment in {page}"),
            html5gum::Token::Error(error) => panic!("{error:?} in {page}"),
            html5gum::Token::Doctype(_) | html5gum::Token::EndTag(_) | html5gum::Token::String(_) => {}
        }
    }
}
