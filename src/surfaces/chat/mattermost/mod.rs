//! Mattermost: a slash command that proves itself by its token, buttons and forms that rerail has sealed, posts of a bot.

pub mod hear;
pub mod room;
