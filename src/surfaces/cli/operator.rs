//! Who sits at the terminal, as the operating system knows them.

/// Every name the operating system has for the user this process runs as, the likeliest first. `USER` only chooses
/// among them; the number is one as well, so that a user of a directory service can be named too.
pub fn os_users() -> Vec<String> {
    let claimed = std::env::var("USER").ok();
    names_of(rustix::process::getuid().as_raw(), &passwd(), claimed.as_deref())
}

/// Every name the operating system has for a user by number, who is at the other end of a socket.
pub fn os_users_of(uid: u32) -> Vec<String> {
    names_of(uid, &passwd(), None)
}

fn passwd() -> String {
    std::fs::read_to_string("/etc/passwd").unwrap_or_default()
}

fn names_of(uid: u32, passwd: &str, claimed: Option<&str>) -> Vec<String> {
    let known = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then_some(name)
    });
    let mut names: Vec<String> = known.map(str::to_owned).collect();
    if let Some(at) = names.iter().position(|name| Some(name.as_str()) == claimed) {
        names.swap(0, at);
    }
    names.push(format!("uid-{uid}"));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n";

    #[test]
    fn the_environment_cannot_name_somebody_else() {
        assert_eq!(names_of(1000, PASSWD, Some("root")), ["ana", "uid-1000"]);
        assert_eq!(names_of(1000, PASSWD, None), ["ana", "uid-1000"]);
        assert_eq!(names_of(0, PASSWD, Some("toor")), ["toor", "root", "uid-0"]);
        assert_eq!(names_of(4711, PASSWD, Some("ana")), ["uid-4711"]);
        assert_eq!(names_of(4711, "", None), ["uid-4711"]);
    }
}
