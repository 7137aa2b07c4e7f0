//! Who sits at the terminal, for the record.

use crate::engine::event::Actor;

/// The operator: the operating system's user. `USER` is believed only if it names the user this
/// process runs as; without a name it is the number, so that nobody is recorded as somebody else.
pub fn actor() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let claimed = std::env::var("USER").ok();
    Actor::new(name_of(uid, &passwd, claimed.as_deref()), "cli")
}

fn name_of(uid: u32, passwd: &str, claimed: Option<&str>) -> String {
    let names = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then_some(name)
    });
    let names: Vec<&str> = names.collect();
    let believed = claimed.filter(|claimed| names.contains(claimed));
    believed.or(names.first().copied()).map_or_else(|| format!("uid-{uid}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n";

    #[test]
    fn the_environment_cannot_name_somebody_else() {
        assert_eq!(name_of(1000, PASSWD, Some("root")), "ana");
        assert_eq!(name_of(1000, PASSWD, None), "ana");
        assert_eq!(name_of(0, PASSWD, Some("toor")), "toor");
        assert_eq!(name_of(4711, PASSWD, Some("ana")), "uid-4711");
        assert_eq!(name_of(4711, "", None), "uid-4711");
    }
}
