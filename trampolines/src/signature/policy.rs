//! What a callback does where it cannot simply run the app's function: what a prototype says of a function pointer beside its type.

use super::{Crossing, Direction, Element, Extent, Length, Scalar, Signature};
use std::fmt;

/// What is said of a callback. What is not said stays as it was said before; of a new callback, as the types' defaults are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Policy {
    /// `[trap: ...]`
    pub trap: Option<OnTrap>,
    /// `[pending: ...]`
    pub pending: Option<WhilePending>,
    /// `[thread: ...]`
    pub thread: Option<OnThread>,
    /// `[default: n]`: what C gets where the callback answers without running to its end; 0 if nothing is said
    pub default: Option<i64>,
}

/// What a callback does when the app's function traps, or a value does not cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnTrap {
    /// C gets the default value and goes on; the error waits for who called C.
    #[default]
    Return,
    /// The error is printed, and the process aborts.
    Abort,
    /// The C functions between the app's call of the library and the callback are skipped, where the prototype of what the app called says that
    /// they can be ([`Signature::unwind`]); elsewhere as [`OnTrap::Return`].
    Unwind,
}

/// What a callback does while an error of its app waits to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhilePending {
    /// It answers with its default value.
    #[default]
    Default,
    /// It runs the app's function all the same.
    Run,
}

/// What a callback does on a thread that its app does not belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnThread {
    /// It answers with its default value.
    #[default]
    Refuse,
    /// The caller waits until the app's own thread has run the function.
    Wait {
        /// for so long at most; `None` for ever
        timeout_ms: Option<u32>,
    },
    /// The arguments are kept for the app's own thread to run the function with, and the caller gets the default value at once.
    Queue,
}

impl Policy {
    /// Whether nothing is said.
    pub fn is_silent(&self) -> bool {
        *self == Policy::default()
    }
}

impl fmt::Display for Policy {
    /// The annotations, as they stand in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.trap.map(|trap| {
            let word = match trap {
                OnTrap::Return => "return",
                OnTrap::Abort => "abort",
                OnTrap::Unwind => "unwind",
            };
            format!("trap: {word}")
        }));
        parts.extend(self.pending.map(|pending| {
            let word = if pending == WhilePending::Run { "run" } else { "default" };
            format!("pending: {word}")
        }));
        parts.extend(self.thread.map(|thread| match thread {
            OnThread::Refuse => "thread: refuse".to_owned(),
            OnThread::Wait { timeout_ms: None } => "thread: wait".to_owned(),
            OnThread::Wait { timeout_ms: Some(ms) } => format!("thread: wait {ms}"),
            OnThread::Queue => "thread: queue".to_owned(),
        }));
        parts.extend(self.default.map(|value| format!("default: {value}")));
        f.write_str(&parts.join(", "))
    }
}

impl Signature {
    /// Whether a call can be made later than it was asked for, with copies of its arguments.
    ///
    /// # Errors
    /// Which parameter cannot be kept, and why.
    pub fn can_be_queued(&self) -> Result<(), String> {
        for (i, param) in self.params.iter().enumerate() {
            let why = match &param.crossing {
                Crossing::Scalar(_)
                | Crossing::Pointer { .. }
                | Crossing::User
                | Crossing::Function { .. }
                | Crossing::Handle { .. }
                | Crossing::Externref { .. }
                | Crossing::Str => continue,
                Crossing::Extent(Extent {
                    direction: Direction::In,
                    length: Length::Count(_),
                    element: Element::Alike { .. },
                    ..
                }) => continue,
                Crossing::Struct(_) => "it is a struct",
                Crossing::Extent(Extent { direction: Direction::Out | Direction::InOut, .. }) => {
                    "its caller waits for what is written to it"
                }
                Crossing::VarArgs { .. } => "variable arguments are the caller's",
                _ => "what it points to is more than bytes",
            };
            let name = param.name.as_deref().map(|name| format!(" (`{name}`)")).unwrap_or_default();
            return Err(format!("parameter {}{name} cannot be kept until the call is made: {why}", i + 1));
        }
        Ok(())
    }

    /// Whether a value can be the default: whether the result is a number or a pointer.
    pub fn has_default(&self) -> bool {
        !matches!(self.result.as_ref().map(|result| &result.crossing), None | Some(Crossing::Struct(_)))
    }

    /// The result's type as a number: pointers and the like are unsigned.
    pub fn result_number(&self) -> Option<Scalar> {
        match &self.result.as_ref()?.crossing {
            Crossing::Struct(_) => None,
            Crossing::Scalar(scalar) => Some(*scalar),
            _ => Some(Scalar::ULONG),
        }
    }
}
