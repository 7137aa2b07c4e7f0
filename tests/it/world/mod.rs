//! Platforms on loopback that behave as the real ones do, where it matters: they keep state, count what was done to
//! them, and break on demand. Those of the demo are `rerail::world`; here they are put on sockets.

pub mod atlas;
pub mod desk;
pub mod faults;
pub mod github;
pub mod mail;
pub mod railway;
pub mod served;
