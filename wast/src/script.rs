//! Running a script, directive by directive.

use crate::{host, values};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use wasmbridge_compiler::{CompileError, Config};
use wasmbridge_runtime::{Engine, Error, ErrorKind, Instance, Linker, Module, TrapCode, Value};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// What came of a script.
#[derive(Debug, Default)]
pub struct Report {
    /// directives that did what the script says
    pub passed: usize,
    /// directives that did not
    pub failed: Vec<Outcome>,
    /// directives that were not tried
    pub skipped: Vec<Outcome>,
}

/// A directive that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// its line, from 1
    pub line: usize,
    /// what went wrong, or why it was not tried
    pub reason: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Runs a script's text.
///
/// # Errors
/// If the text is not a script, or the runtime cannot start.
pub fn run(text: &str, config: &Config) -> Result<Report, String> {
    run_with(text, config, &|_| ())
}

/// Runs a script's text, and does something with each instance that it makes: whatever that is, the script must not see it.
///
/// # Errors
/// As for [`run`].
pub fn run_with(text: &str, config: &Config, prepare: &dyn Fn(&Instance)) -> Result<Report, String> {
    let mut lexer = wast::lexer::Lexer::new(text);
    // The suite names things with characters that look like others on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).map_err(|e| e.to_string())?;
    let script = wast::parser::parse::<Wast<'_>>(&buffer).map_err(|e| e.to_string())?;
    let engine = Engine::new(wasmbridge_runtime::Config::default()).map_err(|e| e.to_string())?;
    let mut linker = Linker::new(&engine);
    let spectest = host::define(&engine, &mut linker, config).map_err(|e| e.to_string())?;
    let mut runner = Runner {
        engine,
        linker,
        config,
        prepare,
        current: Slot::None,
        named: HashMap::new(),
        definitions: HashMap::new(),
        last_definition: None,
        registered: Vec::new(),
        _spectest: spectest,
    };
    let mut report = Report::default();
    for directive in script.directives {
        let line = directive.span().linecol_in(text).0 + 1;
        match runner.directive(directive) {
            Ok(()) => report.passed += 1,
            Err(Failure::Failed(reason)) => report.failed.push(Outcome { line, reason }),
            Err(Failure::Skipped(reason)) => report.skipped.push(Outcome { line, reason }),
        }
    }
    Ok(report)
}

enum Failure {
    Failed(String),
    Skipped(String),
}

type Done = Result<(), Failure>;

fn failed(reason: impl Into<String>) -> Failure {
    Failure::Failed(reason.into())
}

/// A module's instance, as later directives find it.
#[derive(Clone)]
enum Slot {
    None,
    Live(Rc<Instance>),
    /// the module was skipped, for this reason
    Skipped(String),
}

struct Runner<'a> {
    engine: Engine,
    linker: Linker,
    config: &'a Config,
    /// what is done with each instance
    prepare: &'a dyn Fn(&Instance),
    current: Slot,
    named: HashMap<String, Slot>,
    definitions: HashMap<String, Definition>,
    last_definition: Option<Definition>,
    /// reasons why names of registered modules are missing
    registered: Vec<(String, String)>,
    _spectest: Instance,
}

/// A module that was only defined: its bytes, or why it was skipped.
type Definition = Result<Vec<u8>, String>;

/// Why a module did not become an instance.
enum Rejected {
    /// the text does not encode, or the module is not valid
    Invalid(String),
    Unsupported(String),
    Link(Error),
    Runtime(Error),
}

impl Rejected {
    fn failure(self) -> Failure {
        match self {
            Rejected::Unsupported(what) => Failure::Skipped(format!("not supported: {what}")),
            Rejected::Invalid(why) => failed(format!("the module was refused: {why}")),
            Rejected::Link(e) | Rejected::Runtime(e) => failed(format!("instantiation failed: {e}")),
        }
    }
}

impl Runner<'_> {
    fn directive(&mut self, directive: WastDirective<'_>) -> Done {
        match directive {
            WastDirective::Module(module) => self.module(module),
            WastDirective::ModuleDefinition(module) => self.define(module),
            WastDirective::ModuleInstance { instance, module, .. } => {
                let wasm = match &module {
                    Some(id) => self.definitions.get(id.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let wasm = wasm.ok_or_else(|| failed("no such module definition"))?;
                self.current = Slot::None;
                let made = wasm
                    .map_err(Rejected::Unsupported)
                    .and_then(|wasm| self.compile(&wasm))
                    .and_then(|module| self.instantiate(&module));
                self.keep(instance.map(|id| id.name().to_owned()), made)
            }
            WastDirective::Register { name, module, .. } => self.register(name, module.map(|id| id.name())),
            WastDirective::Invoke(invoke) => match self.invoke(&invoke)? {
                Ok(_) => Ok(()),
                Err(e) => Err(failed(format!("`{}`: {e}", invoke.name))),
            },
            WastDirective::AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => self.assert_trap(exec, message),
            WastDirective::AssertExhaustion { call, message, .. } => match self.invoke(&call)? {
                Ok(values) => Err(failed(format!("returned {values:?}, expected the trap `{message}`"))),
                Err(e) if e.trap().is_some_and(|t| t.code == TrapCode::StackOverflow) => Ok(()),
                Err(e) => Err(failed(format!("`{e}`, expected the trap `{message}`"))),
            },
            WastDirective::AssertUnlinkable { module, message, .. } => {
                match self.compile_wat(QuoteWat::Wat(module)).and_then(|m| self.instantiate(&m)) {
                    Err(Rejected::Link(_)) => Ok(()),
                    Ok(_) => Err(failed(format!("linked, expected `{message}`"))),
                    Err(Rejected::Runtime(e)) if e.kind() != ErrorKind::Trap => Ok(()),
                    Err(other) => Err(other.failure()),
                }
            }
            WastDirective::AssertMalformed { module, message, .. }
            | WastDirective::AssertInvalid { module, message, .. } => match self.compile_wat(module) {
                // What needs a proposal that is not supported is refused, too.
                Err(Rejected::Invalid(_) | Rejected::Unsupported(_)) => Ok(()),
                Err(other) => Err(other.failure()),
                Ok(_) => Err(failed(format!("accepted, expected `{message}`"))),
            },
            WastDirective::AssertException { exec, .. } => match self.execute(exec)? {
                Ok(values) => Err(failed(format!("returned {values:?}, expected an exception"))),
                Err(e) if e.exception().is_some() => Ok(()),
                Err(e) => Err(failed(format!("`{e}`, expected an exception"))),
            },
            WastDirective::AssertSuspension { .. } => Err(Failure::Skipped("not supported: stack switching".into())),
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                Err(Failure::Skipped("not supported: threads".into()))
            }
            WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => {
                Err(Failure::Skipped("custom sections are not validated".into()))
            }
        }
    }

    fn compile_wat(&self, mut module: QuoteWat<'_>) -> Result<Module, Rejected> {
        let wasm = module.encode().map_err(|e| Rejected::Invalid(e.to_string()))?;
        self.compile(&wasm)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Module, Rejected> {
        let artifact = wasmbridge_compiler::compile(wasm, self.config).map_err(|e| match e {
            CompileError::Unsupported { what, .. } => Rejected::Unsupported(what),
            other => Rejected::Invalid(other.to_string()),
        })?;
        Module::load(&self.engine, &artifact).map_err(Rejected::Runtime)
    }

    fn instantiate(&self, module: &Module) -> Result<Instance, Rejected> {
        let missing = module.imports().iter().find_map(|i| self.registered.iter().find(|r| r.0 == i.module));
        if let Some((name, reason)) = missing {
            return Err(Rejected::Unsupported(format!("imports from `{name}`, which was skipped ({reason})")));
        }
        let instance = self.linker.instantiate(module).map_err(|e| match e.kind() {
            ErrorKind::Link => Rejected::Link(e),
            _ => Rejected::Runtime(e),
        })?;
        (self.prepare)(&instance);
        Ok(instance)
    }

    fn module(&mut self, module: QuoteWat<'_>) -> Done {
        let name = module.name().map(|id| id.name().to_owned());
        // The one before may be freed now, unless it has a name.
        self.current = Slot::None;
        let made = self.compile_wat(module).and_then(|m| self.instantiate(&m));
        self.keep(name, made)
    }

    fn define(&mut self, mut module: QuoteWat<'_>) -> Done {
        let name = module.name().map(|id| id.name().to_owned());
        let wasm = module.encode().map_err(|e| failed(e.to_string()))?;
        let (definition, done) = match self.compile(&wasm) {
            Ok(_) => (Ok(wasm), Ok(())),
            Err(Rejected::Unsupported(what)) => (Err(what.clone()), Err(Rejected::Unsupported(what).failure())),
            Err(other) => return Err(other.failure()),
        };
        if let Some(name) = name {
            self.definitions.insert(name, definition.clone());
        }
        self.last_definition = Some(definition);
        done
    }

    fn keep(&mut self, name: Option<String>, made: Result<Instance, Rejected>) -> Done {
        let (slot, done) = match made {
            Ok(instance) => (Slot::Live(Rc::new(instance)), Ok(())),
            Err(rejected) => {
                let failure = rejected.failure();
                let (Failure::Failed(reason) | Failure::Skipped(reason)) = &failure;
                (Slot::Skipped(reason.clone()), Err(failure))
            }
        };
        if let Some(name) = name {
            self.named.insert(name, slot.clone());
        }
        self.current = slot;
        done
    }

    fn slot(&self, name: Option<&str>) -> Result<Rc<Instance>, Failure> {
        let slot = match name {
            None => Some(&self.current),
            Some(name) => self.named.get(name),
        };
        match slot {
            Some(Slot::Live(instance)) => Ok(instance.clone()),
            Some(Slot::Skipped(reason)) => Err(Failure::Skipped(format!("its module: {reason}"))),
            Some(Slot::None) | None => Err(failed("there is no such module")),
        }
    }

    fn register(&mut self, name: &str, module: Option<&str>) -> Done {
        self.registered.retain(|r| r.0 != name);
        match self.slot(module) {
            Ok(instance) => {
                self.linker.define_instance(name, &instance).map_err(|e| failed(e.to_string()))?;
                // It is needed as long as anyone may import from it.
                self.named.insert(format!("registered {name} {}", self.named.len()), Slot::Live(instance));
                Ok(())
            }
            Err(failure) => {
                let (Failure::Failed(reason) | Failure::Skipped(reason)) = &failure;
                self.registered.push((name.to_owned(), reason.clone()));
                Err(failure)
            }
        }
    }

    fn invoke(&self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Value>, Error>, Failure> {
        let instance = self.slot(invoke.module.map(|id| id.name()))?;
        let args: Option<Vec<Value>> = invoke.args.iter().map(values::argument).collect();
        let args = args.ok_or_else(|| Failure::Skipped("an argument of a type that is not supported".into()))?;
        Ok(instance.call(invoke.name, &args))
    }

    fn execute(&self, exec: WastExecute<'_>) -> Result<Result<Vec<Value>, Error>, Failure> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.slot(module.map(|id| id.name()))?;
                Ok(instance.global(global).map(|value| vec![value]))
            }
            WastExecute::Wat(wat) => self.execute_module(wat),
        }
    }

    fn execute_module(&self, wat: Wat<'_>) -> Result<Result<Vec<Value>, Error>, Failure> {
        match self.compile_wat(QuoteWat::Wat(wat)).and_then(|m| self.instantiate(&m)) {
            Ok(_) => Ok(Ok(Vec::new())),
            Err(Rejected::Runtime(e)) => Ok(Err(e)),
            Err(other) => Err(other.failure()),
        }
    }

    fn assert_return(&self, exec: WastExecute<'_>, expected: &[WastRet<'_>]) -> Done {
        let values = self.execute(exec)?.map_err(|e| failed(format!("{e}, expected {expected:?}")))?;
        let same = values.len() == expected.len() && values.iter().zip(expected).all(|(v, p)| values::matches(v, p));
        if same { Ok(()) } else { Err(failed(format!("returned {values:?}, expected {expected:?}"))) }
    }

    fn assert_trap(&self, exec: WastExecute<'_>, message: &str) -> Done {
        match self.execute(exec)? {
            Ok(values) => Err(failed(format!("returned {values:?}, expected the trap `{message}`"))),
            Err(e) => match e.trap() {
                // The suite appends details such as an index to some messages.
                Some(trap) if message.starts_with(trap.code.message()) || trap.code.message().starts_with(message) => {
                    Ok(())
                }
                // The suite says what should not have been null: `null array reference`.
                Some(trap)
                    if trap.code == TrapCode::NullReference
                        && message.starts_with("null ")
                        && message.ends_with(" reference") =>
                {
                    Ok(())
                }
                _ => Err(failed(format!("`{e}`, expected the trap `{message}`"))),
            },
        }
    }
}
