//! What an app is given.

use std::fs::File;
use std::path::Path;
use wasi_common::pipe::ReadPipe;
use wasi_common::sync::{Dir, WasiCtxBuilder, ambient_authority, stdio};
use wasi_common::{WasiCtx, WasiFile};
use wasmbridge_runtime::Linker;

/// Why an app cannot be given something: in the words of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasiError(String);

impl std::fmt::Display for WasiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WasiError {}

/// What an app is given of the host: arguments, environment, standard streams, directories. At first nothing.
#[derive(Default)]
pub struct WasiConfig {
    args: Vec<String>,
    env: Vec<(String, String)>,
    streams: [Option<Box<dyn WasiFile>>; 3],
    dirs: Vec<(Dir, String)>,
}

impl std::fmt::Debug for WasiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dirs: Vec<&str> = self.dirs.iter().map(|(_, guest)| guest.as_str()).collect();
        let WasiConfig { args, env, .. } = self;
        f.debug_struct("WasiConfig").field("args", args).field("env", env).field("dirs", &dirs).finish_non_exhaustive()
    }
}

impl WasiConfig {
    /// Nothing: no arguments, no environment, an empty standard input, outputs that go nowhere, no directories.
    pub fn new() -> WasiConfig {
        WasiConfig::default()
    }

    /// Adds an argument. The first one is the program's name, by convention.
    pub fn arg(&mut self, arg: &str) -> &mut WasiConfig {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, name: &str, value: &str) -> &mut WasiConfig {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the app the host's standard input, output and error.
    pub fn inherit_stdio(&mut self) -> &mut WasiConfig {
        self.streams =
            [Some(Box::new(stdio::stdin())), Some(Box::new(stdio::stdout())), Some(Box::new(stdio::stderr()))];
        self
    }

    /// Makes these bytes the app's standard input.
    pub fn stdin_bytes(&mut self, bytes: impl Into<Vec<u8>>) -> &mut WasiConfig {
        self.streams[0] = Some(Box::new(ReadPipe::from(bytes.into())));
        self
    }

    /// Makes a file the app's standard input.
    pub fn stdin_file(&mut self, file: File) -> &mut WasiConfig {
        self.stream(0, file)
    }

    /// Makes a file the app's standard output.
    pub fn stdout_file(&mut self, file: File) -> &mut WasiConfig {
        self.stream(1, file)
    }

    /// Makes a file the app's standard error.
    pub fn stderr_file(&mut self, file: File) -> &mut WasiConfig {
        self.stream(2, file)
    }

    fn stream(&mut self, number: usize, file: File) -> &mut WasiConfig {
        let file = wasi_common::sync::file::File::from_cap_std(cap_std::fs::File::from_std(file));
        self.streams[number] = Some(Box::new(file));
        self
    }

    /// Opens a directory of the host for the app, which sees it under the path `guest`: it may read, write, make and remove what is below, as
    /// far as the host's process may, and nothing else.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn preopen_dir(&mut self, host: &Path, guest: &str) -> Result<&mut WasiConfig, WasiError> {
        let dir = Dir::open_ambient_dir(host, ambient_authority())
            .map_err(|e| WasiError(format!("cannot open the directory `{}`: {e}", host.display())))?;
        self.dirs.push((dir, guest.to_owned()));
        Ok(self)
    }

    /// Defines WASI in a linker: the modules `wasi_snapshot_preview1` and, for older programs, `wasi_unstable`. All instances made with the
    /// linker share what is open; `proc_exit` ends the calling one, with the trap [`Exited`](wasmbridge_runtime::TrapCode::Exited).
    ///
    /// # Errors
    /// If an argument or a variable has a zero byte in it, or all of them are too long.
    pub fn define(self, linker: &mut Linker) -> Result<(), WasiError> {
        let context = self.build()?;
        crate::define::define(linker, &context).map_err(|e| WasiError(e.to_string()))
    }

    fn build(self) -> Result<WasiCtx, WasiError> {
        let mut builder = WasiCtxBuilder::new();
        for arg in &self.args {
            no_zero("the argument", arg)?;
            builder.arg(arg).map_err(|e| WasiError(format!("the arguments are too long: {e}")))?;
        }
        for (name, value) in &self.env {
            no_zero("the variable", name)?;
            no_zero("the value of the variable", value)?;
            if name.is_empty() || name.contains('=') {
                return Err(WasiError(format!("`{name}` cannot be the name of a variable")));
            }
            builder.env(name, value).map_err(|e| WasiError(format!("the environment is too large: {e}")))?;
        }
        let [stdin, stdout, stderr] = self.streams;
        if let Some(stdin) = stdin {
            builder.stdin(stdin);
        }
        if let Some(stdout) = stdout {
            builder.stdout(stdout);
        }
        if let Some(stderr) = stderr {
            builder.stderr(stderr);
        }
        for (dir, guest) in self.dirs {
            builder.preopened_dir(dir, &guest).map_err(|e| WasiError(format!("cannot give the app `{guest}`: {e}")))?;
        }
        Ok(builder.build())
    }
}

/// C strings end at a zero byte: the app would see less than it was given.
fn no_zero(what: &str, text: &str) -> Result<(), WasiError> {
    match text.contains('\0') {
        true => Err(WasiError(format!("{what} `{}` has a zero byte in it", text.replace('\0', "\\0")))),
        false => Ok(()),
    }
}
