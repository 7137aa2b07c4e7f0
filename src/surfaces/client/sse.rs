//! Server-sent events as they come in, in pieces of any size.

/// Bytes of one frame: the largest event of a journal, with room.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What it is; nothing for an event of the run.
    pub event: Option<String>,
    pub data: String,
}

/// Bytes that came in and are no whole frame yet.
#[derive(Debug, Default)]
pub struct Sse {
    bytes: Vec<u8>,
    /// Up to here there is no end of a frame.
    looked: usize,
}

impl Sse {
    /// Takes more bytes in; false if a frame grows beyond all bounds.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        self.bytes.len() <= FRAME_BYTES_MAX
    }

    /// The next whole frame that says something; comments and the like are passed over.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let from = self.looked.saturating_sub(1);
            let Some(at) = self.bytes[from..].windows(2).position(|two| two == b"\n\n") else {
                self.looked = self.bytes.len();
                return None;
            };
            let rest = self.bytes.split_off(from + at + 2);
            let whole = std::mem::replace(&mut self.bytes, rest);
            self.looked = 0;
            let frame = read(&String::from_utf8_lossy(&whole));
            if frame != Frame::default() {
                return Some(frame);
            }
        }
    }
}

fn read(text: &str) -> Frame {
    let mut frame = Frame::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => frame.event = Some(value.to_owned()),
            "data" => {
                if !frame.data.is_empty() {
                    frame.data.push('\n');
                }
                frame.data.push_str(value);
            }
            _ => {}
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_same_however_their_bytes_are_cut() {
        let text =
            "retry: 1000\n\nid: 0\ndata: {\"a\":\"é\"}\n\n: still here\n\nevent: end\ndata: x\ndata: y\n\nid: 1\nda";
        let all = |cut: usize| {
            let (mut sse, mut frames) = (Sse::default(), Vec::new());
            for piece in text.as_bytes().chunks(cut) {
                assert!(sse.feed(piece));
                frames.extend(std::iter::from_fn(|| sse.next()));
            }
            frames
        };
        let frame = |event: Option<&str>, data: &str| Frame { event: event.map(str::to_owned), data: data.to_owned() };
        let expected = [frame(None, "{\"a\":\"é\"}"), frame(Some("end"), "x\ny")];
        for cut in 1..=text.len() {
            assert_eq!(all(cut), expected, "{cut}");
        }
    }
}
