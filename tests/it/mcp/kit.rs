//! A client that says exactly what it is told to, and believes nothing of what it hears.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value as Json, json};

use crate::binary::kit::{PATIENCE, Place, until};

/// The version of the protocol that most clients speak.
pub const VERSION: &str = "2025-11-25";

/// A `rerail mcp` and the two ends of its pipes; killed if the test gives up.
pub struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    next: u64,
    /// Everything that was said, both ways.
    pub said: Vec<String>,
}

impl Talk {
    /// A client that has begun as the protocol wants it.
    pub fn begin(place: &Place) -> Talk {
        let mut talk = Talk::silent(place, &["mcp"]);
        let reply = talk.ask("initialize", hello("robot", "1.0"));
        assert_eq!(reply["result"]["serverInfo"]["name"], "rerail", "{reply}");
        talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        talk
    }

    /// One that has said nothing yet.
    pub fn silent(place: &Place, args: &[&str]) -> Talk {
        let mut command = place.rerail(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                // Nobody listens any more once the test is over.
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Talk { child, stdin, lines, next: 0, said: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says one line, whatever it is.
    pub fn say(&mut self, line: &str) {
        self.said.push(format!("> {line}"));
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Says bytes without an end of line.
    pub fn mutter(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Asks without waiting; gives the number of the question.
    pub fn wonder(&mut self, method: &str, params: Json) -> u64 {
        self.next += 1;
        let line = json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        self.say(&line.to_string());
        self.next
    }

    /// The next line that is heard: whatever stands on standard output is JSON-RPC.
    #[track_caller]
    pub fn hear(&mut self) -> Json {
        let line = self.lines.recv_timeout(PATIENCE).expect("it answers");
        let json: Json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(json["jsonrpc"], "2.0", "{line}");
        self.said.push(format!("< {line}"));
        json
    }

    /// Asks and waits for the answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Json) -> Json {
        let id = self.wonder(method, params);
        let reply = self.hear();
        assert_eq!(reply["id"], id, "{reply}");
        reply
    }

    /// Calls a tool; what it says, done or refused, has the form of all results.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Json) -> Result<Json, Json> {
        let reply = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        result_of(&reply)
    }

    /// What a tool that must not refuse gives.
    #[track_caller]
    pub fn does(&mut self, tool: &str, arguments: Json) -> Json {
        self.call(tool, arguments).unwrap_or_else(|refused| panic!("{tool} refused: {refused}"))["data"].clone()
    }

    /// Why a tool refuses, with the way out.
    #[track_caller]
    pub fn refused(&mut self, tool: &str, arguments: Json) -> String {
        match self.call(tool, arguments) {
            Err(refused) => {
                format!("{}: {} / {}", refused["data"]["error"], refused["data"]["message"], refused["next"])
            }
            Ok(done) => panic!("{tool} did it: {done}"),
        }
    }

    /// Asks for a run until it stands so.
    #[track_caller]
    pub fn until_status(&mut self, run: &str, status: &str) -> Json {
        let mut last = Json::Null;
        until(&format!("{run} is {status}"), || {
            last = self.does("get_run", json!({ "run": run, "wait_seconds": 1 }));
            last["status"] == status
        });
        last
    }

    /// Plans and starts; gives the id of the run.
    #[track_caller]
    pub fn starts(&mut self, runbook: &str, inputs: &Json, target: &str) -> String {
        let plan = self.does("plan_run", json!({ "runbook": runbook, "inputs": inputs, "target": target }));
        let hash = plan["plan_hash"].as_str().unwrap_or_else(|| panic!("{plan}"));
        let asked = json!({ "runbook": runbook, "inputs": inputs, "target": target, "plan_hash": hash });
        self.does("start_run", asked)["run"].as_str().unwrap().to_owned()
    }

    /// Closes the client's end and waits; gives how it ended, what it still said, and its standard error.
    pub fn closes(mut self) -> (ExitStatus, Vec<String>, String) {
        drop(self.stdin.take());
        let status = {
            until("it ends with its client", || self.child.try_wait().unwrap().is_some());
            self.child.wait().unwrap()
        };
        let mut stderr = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
        (status, self.lines.iter().collect(), stderr)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn hello(name: &str, version: &str) -> Json {
    json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": name, "version": version } })
}

/// What a tool said, in the form of all results: marked, with a next step, and as text as well.
#[track_caller]
pub fn result_of(reply: &Json) -> Result<Json, Json> {
    let result = &reply["result"];
    let said = result["structuredContent"].clone();
    assert!(said["note"].as_str().is_some_and(|note| note.starts_with("Untrusted data")), "{reply}");
    assert!(said["next"].as_str().is_some_and(|next| !next.is_empty()), "{reply}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Untrusted data") && text.contains("\n\nNext: "), "{text}");
    match result["isError"] == json!(true) {
        true => Err(said),
        false => Ok(said),
    }
}

/// A project with something to look at, something to change, something that asks, and a target where programs may write.
pub fn project() -> Place {
    Place::new()
        .file("rerail.yaml", "version: 1\nallow: { file_write: [out] }\n")
        .file("out/there", "")
        .file("targets/dev.yaml", "version: 1\npolicy: { agents: { max_effect: write } }\n")
        .file("targets/live.yaml", "version: 1\n")
        .runbook("look", "steps:\n  - { id: now, uses: time.now }\n")
        .runbook(
            "put",
            "inputs: { text: { type: string } }\nsteps:\n  - { id: put, uses: file.write, with: { path: out/a, text: '${{ inputs.text }}' } }\n",
        )
        .runbook(
            "ask",
            "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready?, choices: ['yes', 'no'] } }\noutputs: { said: '${{ steps.ready.outputs.answer }}' }\n",
        )
        .runbook("nap", "steps:\n  - { id: nap, uses: time.sleep, with: { duration: 1h } }\n")
}

/// What the file has that `put` writes; nothing if nobody did.
pub fn written(place: &Place) -> Option<String> {
    std::fs::read_to_string(place.project().join("out/a")).ok()
}

/// A person's yes to what a run waits with.
#[track_caller]
pub fn approve(place: &Place, run: &Json) {
    let change = run["approvals"][0]["change"].as_str().unwrap_or_else(|| panic!("{run}"));
    place.ask(&["approve", run["run"].as_str().unwrap(), "--yes", "--change", change]).exits(0);
}
