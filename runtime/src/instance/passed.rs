//! Functions that an app passes to C functions.
//!
//! Most parameters are passed the same function again. So each remembers what was passed there last, and what it became: as long as the instance has
//! freed no callback since, that function becomes the same again, and nothing is looked up. Who keeps it, and how long, is said anew each time.

use super::InstanceData;
use super::functions::Out;
use crate::callback;
use crate::crossing::{Refused, value_name};
use crate::linker::ThunkInfo;
use std::cell::Cell;
use wasmbridge_artifact::vmctx::VmFuncRef;
use wasmbridge_trampolines::{Crossing, Scope, Signature};

/// A parameter of an import that is a function.
#[derive(Debug)]
pub(crate) struct FunctionParam {
    /// its number
    argument: usize,
    /// the prototype says what a callback does where it cannot simply run
    has_policy: bool,
    last: Cell<Option<Passed>>,
}

/// What was passed.
#[derive(Debug, Clone, Copy)]
struct Passed {
    funcref: *const VmFuncRef,
    out: Out,
    /// how many callbacks the instance had freed
    freed: u64,
}

impl FunctionParam {
    /// Those of a signature.
    pub(crate) fn all(signature: &Signature) -> Box<[FunctionParam]> {
        let params = signature.params.iter().enumerate();
        let functions = params.filter_map(|(argument, param)| match &param.crossing {
            Crossing::Function { policy, .. } => {
                Some(FunctionParam { argument, has_policy: !policy.is_silent(), last: Cell::new(None) })
            }
            _ => None,
        });
        functions.collect()
    }
}

impl InstanceData {
    /// A function of the app's table as a C function pointer, for a parameter of a C function. The functions of a call are asked for in their order.
    pub(crate) fn function_pointer(&self, caller: &ThunkInfo, argument: usize, index: u32) -> Result<u64, Refused> {
        let place = caller.functions.iter().position(|function| function.argument == argument);
        let place = place.expect("the argument is a function");
        if place == 0 {
            // Nothing of this call is held yet.
            self.end_calls();
        }
        self.pass(caller, &caller.functions[place], index)
            .map_err(|why| format!("{}: {why}", value_name(&caller.signature, Some(argument))))
    }

    fn pass(&self, caller: &ThunkInfo, param: &FunctionParam, index: u32) -> Result<u64, Refused> {
        let value = &caller.signature.params[param.argument];
        if index == 0 {
            return if value.nonnull { Err("it is NULL, the prototype says [nonnull]".to_owned()) } else { Ok(0) };
        }
        let Crossing::Function { signature, scope, policy } = &value.crossing else {
            unreachable!("the parameter is a function")
        };
        let funcref = self.table_function(0, index)?;
        let freed = self.functions.freed.get();
        let out = match param.last.get() {
            Some(last) if std::ptr::eq(last.funcref, funcref) && last.freed == freed => {
                if let Out::Callback(slot) = last.out {
                    // SAFETY: a callback of this instance's that is not freed; the instance is in use, so nobody is dropping it.
                    unsafe {
                        callback::revive(slot.record);
                        if param.has_policy {
                            callback::say(slot.record, policy);
                        }
                    }
                }
                last.out
            }
            _ => {
                let out = self.convert_function_out(signature, policy, index, funcref, *scope == Scope::Once)?;
                param.last.set(Some(Passed { funcref, out, freed }));
                out
            }
        };
        match out {
            Out::Native(native) => Ok(native as u64),
            Out::Callback(slot) => {
                self.hold(slot.record, caller, scope);
                Ok(slot.entry as u64)
            }
        }
    }
}
