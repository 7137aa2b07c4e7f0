//! The terminal: one file per command, and what they share.

pub mod actions;
pub mod answer;
pub mod app;
pub mod area;
pub mod args;
pub mod attention;
pub mod board;
pub mod cancel;
pub mod check;
pub mod demo;
pub mod describe;
pub mod error;
pub mod exit;
pub mod export;
pub mod follow;
pub mod foreground;
pub mod keys;
pub mod list;
pub mod live;
pub mod logging;
pub mod note;
pub mod operator;
pub mod prompt;
pub mod result;
pub mod resume;
pub mod run;
pub mod runs;
pub mod session;
pub mod show;
pub mod table;
pub mod ui;
pub mod verify;
pub mod version;

pub use app::main;
