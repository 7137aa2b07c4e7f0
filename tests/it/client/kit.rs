//! Somebody who asks a server from elsewhere.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::binary::kit::{Living, Place, Said};
use crate::serve::kit::Served;

/// Somebody at another machine, with nothing but an address and a token.
pub struct Elsewhere {
    pub place: Place,
    address: String,
}

impl Elsewhere {
    pub fn of(server: &Served, token: &str) -> Elsewhere {
        let place = Place::new();
        let file = place.beside("token");
        std::fs::write(&file, token).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let place = place.env("RERAIL_TOKEN_FILE", file.to_str().unwrap());
        Elsewhere { place, address: format!("http://127.0.0.1:{}", server.port) }
    }

    pub fn ask(&self, args: &[&str]) -> Said {
        self.place.ask(&[args, &["--server", &self.address]].concat())
    }

    pub fn begins(&self, args: &[&str]) -> Living {
        Living::start(&self.place, &[args, &["--server", &self.address]].concat())
    }
}

/// The address of a server's socket.
pub fn through(socket: &Path) -> String {
    format!("unix:{}", socket.display())
}
