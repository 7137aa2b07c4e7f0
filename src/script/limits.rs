//! Every limit of a script, with its reason.

/// Operations of one evaluation: far above real snippets, well below half a second.
pub const OPERATIONS_MAX: u64 = 200_000;
/// Processor time of one evaluation in milliseconds; not wall time, so that a busy machine in an
/// outage doesn't break a good script.
pub const CPU_MS_MAX: u64 = 500;
/// Bytes an evaluation may allocate and still hold: Rhai's own size limits miss element assignment.
pub const ALLOCATED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one string.
pub const STRING_BYTES_MAX: usize = 256 * 1024;
/// Elements of one list or map.
pub const ELEMENTS_MAX: usize = 10_000;
/// Depth of calls between script functions; fits the stack with room.
pub const CALL_DEPTH_MAX: usize = 32;
/// Depth of expressions, outside and inside functions.
pub const EXPRESSION_DEPTH_MAX: (usize, usize) = (64, 32);
/// Variables in scope at once.
pub const VARIABLES_MAX: usize = 256;
/// Functions a script may define.
pub const FUNCTIONS_MAX: usize = 128;
/// Step calls of one script: replay is quadratic, and more is what loops over steps are for.
pub const CALLS_MAX: u32 = 1_000;
/// Depth of a value that crosses the border between script and engine.
pub const VALUE_DEPTH_MAX: usize = 64;
/// Lines and bytes one evaluation may print.
pub const PRINT_LINES_MAX: usize = 1_000;
pub const PRINT_BYTES_MAX: usize = 64 * 1024;
/// Stack the evaluating thread must have: the deepest allowed nesting fits with room.
pub const STACK_BYTES: usize = 64 * 1024 * 1024;
