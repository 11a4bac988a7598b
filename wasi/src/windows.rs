//! Buffers in windows.
//!
//! The implementation looks at memories as slices from address 0 on, and windows lie beyond the app's own memory, with nothing between. So a
//! call of which a pointer leads out of that memory is made with a memory of its own: what the pointers point to is copied there, and what the
//! call has written is copied back, through accesses that know windows, their rights, and that they may vanish.
//!
//! | not for | why |
//! |---|---|
//! | `args_get`, `environ_get`, `poll_oneoff` | structures of pointers, which no program has elsewhere than where it has its variables |

use wasmbridge_runtime::{Caller, Stop, Value};

/// The memory that WASI works on.
pub(crate) const MEMORY: &str = "memory";
/// The most bytes that one call reads or writes so. Callers of these functions expect fewer than they asked for, and call again.
const MOST: u64 = 1 << 20;
/// Where things lie in a call's own memory: aligned for whatever they are.
const ALIGN: usize = 16;

/// A parameter that points to something; others are meant by their numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pointer {
    /// bytes that are read
    In { at: usize, len: usize },
    /// Bytes that are written: as many as the 32 bits say to which `used` points, else any of them.
    Out { at: usize, len: usize, used: Option<usize> },
    /// so many bytes that are written
    Cell { at: usize, size: u32 },
    /// an array of addresses and lengths of bytes that are read
    Gather { at: usize, count: usize },
    /// The same of bytes that are written, as many as the 32 bits say to which `used` points.
    Scatter { at: usize, count: usize, used: usize },
}

/// What a function's parameters point to. `filestat` is the size of that structure, which differs between the snapshots.
pub(crate) fn pointers(function: &str, filestat: u32) -> Vec<Pointer> {
    use Pointer::{Cell, Gather, In, Out, Scatter};
    let text = |at| In { at, len: at + 1 };
    match function {
        "args_sizes_get" | "environ_sizes_get" => vec![Cell { at: 0, size: 4 }, Cell { at: 1, size: 4 }],
        "clock_res_get" | "fd_tell" | "fd_prestat_get" => vec![Cell { at: 1, size: 8 }],
        "clock_time_get" => vec![Cell { at: 2, size: 8 }],
        "fd_fdstat_get" => vec![Cell { at: 1, size: 24 }],
        "fd_filestat_get" => vec![Cell { at: 1, size: filestat }],
        "fd_prestat_dir_name" => vec![Out { at: 1, len: 2, used: None }],
        "fd_pread" => vec![Scatter { at: 1, count: 2, used: 4 }, Cell { at: 4, size: 4 }],
        "fd_pwrite" => vec![Gather { at: 1, count: 2 }, Cell { at: 4, size: 4 }],
        "fd_read" => vec![Scatter { at: 1, count: 2, used: 3 }, Cell { at: 3, size: 4 }],
        "fd_readdir" => vec![Out { at: 1, len: 2, used: Some(4) }, Cell { at: 4, size: 4 }],
        "fd_seek" => vec![Cell { at: 3, size: 8 }],
        "fd_write" => vec![Gather { at: 1, count: 2 }, Cell { at: 3, size: 4 }],
        "path_create_directory" | "path_remove_directory" | "path_unlink_file" => vec![text(1)],
        "path_filestat_get" => vec![text(2), Cell { at: 4, size: filestat }],
        "path_filestat_set_times" => vec![text(2)],
        "path_link" => vec![text(2), text(5)],
        "path_open" => vec![text(2), Cell { at: 8, size: 4 }],
        "path_readlink" => vec![text(1), Out { at: 3, len: 4, used: Some(5) }, Cell { at: 5, size: 4 }],
        "path_rename" => vec![text(1), text(4)],
        "path_symlink" => vec![text(0), text(3)],
        "random_get" => vec![Out { at: 0, len: 1, used: None }],
        "sock_accept" => vec![Cell { at: 2, size: 4 }],
        "sock_recv" => vec![Scatter { at: 1, count: 2, used: 4 }, Cell { at: 4, size: 4 }, Cell { at: 5, size: 2 }],
        "sock_send" => vec![Gather { at: 1, count: 2 }, Cell { at: 4, size: 4 }],
        _ => Vec::new(),
    }
}

/// A call with a memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// the arguments, whose pointers are into `bytes`
    pub(crate) args: Vec<Value>,
    pub(crate) bytes: Vec<u8>,
    back: Vec<Back>,
}

/// What goes back to the app.
#[derive(Debug)]
struct Back {
    /// where in `bytes` it is
    from: usize,
    /// guest address
    to: u64,
    len: usize,
    /// Where in `bytes` the number of bytes is that mean something, and how many of those come before this.
    used: Option<(usize, usize)>,
}

/// Carries a call's buffers, if one of them is not in the app's own memory of `own_len` bytes.
pub(crate) fn carry(
    caller: &Caller<'_>,
    own_len: u64,
    args: &[Value],
    pointers: &[Pointer],
) -> Result<Option<Carried>, Stop> {
    let is_own = |(addr, len): (u64, u64)| addr + len <= own_len;
    let mut all_own = true;
    for pointer in pointers {
        all_own &= match *pointer {
            Pointer::In { at, len } | Pointer::Out { at, len, .. } => is_own((number(args, at), number(args, len))),
            Pointer::Cell { at, size } => is_own((number(args, at), size.into())),
            Pointer::Gather { at, count } | Pointer::Scatter { at, count, .. } => {
                let array = (number(args, at), 8 * number(args, count));
                is_own(array) && iovecs(caller, array)?.into_iter().all(is_own)
            }
        };
    }
    if all_own {
        return Ok(None);
    }
    let mut carried = Carried { args: args.to_vec(), ..Carried::default() };
    // Cells first: others say by them how much of theirs means something.
    for pointer in pointers {
        if let Pointer::Cell { at, size } = *pointer {
            carried.out(caller, args, at, size.into(), None)?;
        }
    }
    for pointer in pointers {
        match *pointer {
            Pointer::Cell { .. } => {}
            Pointer::In { at, len } => {
                let place = carried.copy_in(caller, number(args, at), number(args, len))?;
                carried.args[at] = Value::I32(place as i32);
            }
            Pointer::Out { at, len, used } => carried.out(caller, args, at, number(args, len), used)?,
            Pointer::Gather { at, count } => carried.vectors(caller, args, at, count, None)?,
            Pointer::Scatter { at, count, used } => carried.vectors(caller, args, at, count, Some(used))?,
        }
    }
    Ok(Some(carried))
}

impl Carried {
    /// Room for `len` bytes, which are 0.
    fn place(&mut self, len: u64) -> usize {
        let start = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(start + len as usize, 0);
        start
    }

    fn copy_in(&mut self, caller: &Caller<'_>, addr: u64, len: u64) -> Result<usize, Stop> {
        check(caller, addr, len, false)?;
        let place = self.place(len);
        caller.read(MEMORY, addr, &mut self.bytes[place..]).map_err(failed)?;
        Ok(place)
    }

    /// Something that is written, where an argument points to.
    fn out(
        &mut self,
        caller: &Caller<'_>,
        args: &[Value],
        at: usize,
        len: u64,
        used: Option<usize>,
    ) -> Result<(), Stop> {
        let to = number(args, at);
        check(caller, to, len, true)?;
        // What is not written stays as it is.
        let from = self.copy_in(caller, to, len)?;
        self.args[at] = Value::I32(from as i32);
        let used = used.map(|used| (number(&self.args, used) as usize, 0));
        self.back.push(Back { from, to, len: len as usize, used });
        Ok(())
    }

    fn vectors(
        &mut self,
        caller: &Caller<'_>,
        args: &[Value],
        at: usize,
        count: usize,
        used: Option<usize>,
    ) -> Result<(), Stop> {
        let used = used.map(|used| number(&self.args, used) as usize);
        let mut left = MOST;
        let mut array = Vec::new();
        for (addr, len) in iovecs(caller, (number(args, at), 8 * number(args, count)))? {
            check(caller, addr, len, used.is_some())?;
            let len = len.min(left);
            let before = (MOST - left) as usize;
            left -= len;
            let place = match used {
                Some(cell) => {
                    let from = self.place(len);
                    self.back.push(Back { from, to: addr, len: len as usize, used: Some((cell, before)) });
                    from
                }
                None => self.copy_in(caller, addr, len)?,
            };
            array.extend((place as u32).to_le_bytes());
            array.extend((len as u32).to_le_bytes());
        }
        let place = self.place(array.len() as u64);
        self.bytes[place..].copy_from_slice(&array);
        self.args[at] = Value::I32(place as i32);
        Ok(())
    }

    /// Gives the app what the call has written.
    pub(crate) fn deliver(&self, caller: &Caller<'_>) -> Result<(), Stop> {
        for Back { from, to, len, used } in &self.back {
            let len = match *used {
                Some((cell, before)) => (word(&self.bytes, cell) as usize).saturating_sub(before).min(*len),
                None => *len,
            };
            caller.write(MEMORY, *to, &self.bytes[*from..*from + len]).map_err(failed)?;
        }
        Ok(())
    }
}

/// The addresses and lengths in an array of them.
fn iovecs(caller: &Caller<'_>, (addr, len): (u64, u64)) -> Result<Vec<(u64, u64)>, Stop> {
    check(caller, addr, len, false)?;
    let mut bytes = vec![0; len as usize];
    caller.read(MEMORY, addr, &mut bytes).map_err(failed)?;
    Ok(bytes.chunks_exact(8).map(|pair| (word(pair, 0).into(), word(pair, 4).into())).collect())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// An argument of 32 bits.
fn number(args: &[Value], at: usize) -> u64 {
    match args[at] {
        Value::I32(value) => u64::from(value as u32),
        _ => unreachable!("addresses and lengths have 32 bits, and the linker has checked the type"),
    }
}

fn check(caller: &Caller<'_>, addr: u64, len: u64, write: bool) -> Result<(), Stop> {
    caller.check(MEMORY, addr, len, write).map_err(failed)
}

fn failed(error: wasmbridge_runtime::Error) -> Stop {
    Stop::Failed(error.message().to_owned())
}
