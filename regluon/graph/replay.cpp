// Runs a straight-line program of torch operators without Python; native.py builds it and hands it
// the programs. Operators are called through torch's dispatcher with boxed arguments, below autograd
// and without the interpreter lock; only opaque nodes, which are Python functions, take it again.
#include <Python.h>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/autograd/python_variable.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace torch::jit {
// The header with these two takes longer to compile than all the rest.
TORCH_PYTHON_API c10::IValue toIValue(py::handle, const c10::TypePtr&, std::optional<int32_t>);
TORCH_PYTHON_API py::object toPyObject(c10::IValue);
}  // namespace torch::jit

namespace {

using at::Tensor;
using c10::IValue;

// A reference that this file owns: released when it goes out of scope.
struct Owned {
  PyObject* object;
  explicit Owned(PyObject* object) : object(object) {
    if (!object) throw python_error();
  }
  ~Owned() { Py_XDECREF(object); }
  Owned(const Owned&) = delete;
  PyObject* release() { return std::exchange(object, nullptr); }
};

struct WithLock {
  PyGILState_STATE state = PyGILState_Ensure();
  ~WithLock() { PyGILState_Release(state); }
};

struct WithoutLock {
  PyThreadState* state = PyEval_SaveThread();
  ~WithoutLock() { PyEval_RestoreThread(state); }
};

struct Arg {
  // kMove is a copy that empties the slot: the last use of a value. kTensors and kOptionals are the
  // two kinds of list that hold values; kList is a list for a Python function.
  enum Kind : uint8_t { kConstant, kCopy, kMove, kTensors, kOptionals, kList };
  Kind kind = kConstant;
  int32_t slot = 0;
  IValue constant;
  PyObject* object = nullptr;  // the constant of an opaque node, kept alive by Replay::held
  std::vector<Arg> items;
};

constexpr int32_t kNowhere = -1;

struct Node {
  std::optional<c10::OperatorHandle> op;
  PyObject* function = nullptr;  // instead of `op`; kept alive by Replay::held
  PyObject* names = nullptr;     // of the last arguments of `function`
  std::vector<Arg> args;
  std::vector<int32_t> outs;     // slots, or kNowhere
  std::vector<int32_t> written;  // inputs whose memory the node writes: their versions are counted up
  bool single = false;           // the operator returns one tensor
};

// The values of one call.
struct Environment {
  std::vector<IValue> slots;
  torch::jit::Stack stack;
  size_t place = 0;  // the node that runs

  const IValue& read(const Arg& arg) const {
    return arg.kind == Arg::kConstant ? arg.constant : slots[arg.slot];
  }

  IValue take(const Arg& arg) {
    return arg.kind == Arg::kMove ? std::move(slots[arg.slot]) : read(arg);
  }

  void push(const Arg& arg) {
    switch (arg.kind) {
      case Arg::kConstant:
        stack.push_back(arg.constant);
        break;
      case Arg::kCopy:
        stack.push_back(slots[arg.slot]);
        break;
      case Arg::kMove:
        stack.push_back(std::move(slots[arg.slot]));
        break;
      case Arg::kTensors: {
        c10::List<Tensor> list;
        list.reserve(arg.items.size());
        for (const Arg& item : arg.items) list.push_back(take(item).toTensor());
        stack.emplace_back(std::move(list));
        break;
      }
      default: {
        c10::List<std::optional<Tensor>> list;
        list.reserve(arg.items.size());
        for (const Arg& item : arg.items) list.push_back(take(item).toOptional<Tensor>());
        stack.emplace_back(std::move(list));
      }
    }
  }
};

PyObject* to_python(const IValue& value) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) return THPVariable_Wrap(value.toTensor());
    Py_RETURN_NONE;
  }
  return torch::jit::toPyObject(value).release().ptr();
}

PyObject* python_argument(Environment& env, const Arg& arg) {
  if (arg.kind == Arg::kConstant) return Py_NewRef(arg.object);
  if (arg.kind != Arg::kList) return to_python(env.take(arg));
  Owned list(PyList_New(static_cast<Py_ssize_t>(arg.items.size())));
  for (size_t i = 0; i < arg.items.size(); ++i)
    PyList_SET_ITEM(list.object, i, Owned(python_argument(env, arg.items[i])).release());
  return list.release();
}

void store_python(Environment& env, const Node& node, size_t& next, PyObject* result) {
  if (PyTuple_Check(result) || PyList_Check(result)) {
    Owned items(PySequence_Fast(result, "a sequence"));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.object); ++i)
      store_python(env, node, next, PySequence_Fast_GET_ITEM(items.object, i));
    return;
  }
  if (next < node.outs.size() && node.outs[next] != kNowhere && THPVariable_Check(result))
    env.slots[node.outs[next]] = THPVariable_Unpack(result);
  ++next;
}

void call_python(Environment& env, const Node& node) {
  WithLock lock;
  try {
    std::vector<std::unique_ptr<Owned>> owned;
    std::vector<PyObject*> args;
    for (const Arg& arg : node.args) {
      owned.push_back(std::make_unique<Owned>(python_argument(env, arg)));
      args.push_back(owned.back()->object);
    }
    const size_t named = node.names ? static_cast<size_t>(PyTuple_GET_SIZE(node.names)) : 0;
    Owned result(
        PyObject_Vectorcall(node.function, args.data(), args.size() - named, node.names));
    size_t next = 0;
    store_python(env, node, next, result.object);
  } catch (python_error& error) {
    error.persist();
    throw;
  }
}

void store(Environment& env, const Node& node, size_t& next, IValue&& result) {
  if (result.isList()) {
    for (const IValue& item : result.toListRef()) store(env, node, next, IValue(item));
    return;
  }
  if (next < node.outs.size() && node.outs[next] != kNowhere)
    env.slots[node.outs[next]] = std::move(result);
  ++next;
}

void call_operator(Environment& env, const Node& node) {
  env.stack.clear();
  for (const Arg& arg : node.args) env.push(arg);
  node.op->callBoxed(env.stack);
  if (node.single) {
    if (node.outs[0] != kNowhere) env.slots[node.outs[0]] = std::move(env.stack[0]);
  } else {
    size_t next = 0;
    for (IValue& result : env.stack) store(env, node, next, std::move(result));
  }
  for (int32_t slot : node.written) {
    const Tensor& tensor = env.slots[slot].toTensor();
    if (!tensor.is_inference()) tensor.unsafeGetTensorImpl()->bump_version();
  }
}

struct Program {
  std::vector<Node> nodes;
  std::vector<IValue> constants;  // their slots come after those of the inputs
  std::vector<c10::TypePtr> inputs;
  std::vector<Arg> outputs;
  size_t slots = 0;
  std::atomic<Environment*> spare{nullptr};

  ~Program() { delete spare.load(); }

  Environment* acquire() {
    Environment* env = spare.exchange(nullptr);
    if (!env) {
      env = new Environment;
      env->slots.resize(slots);
      env->stack.reserve(32);
    }
    return env;
  }

  void release(Environment* env) {
    for (IValue& value : env->slots) value = IValue();
    env->stack.clear();
    delete spare.exchange(env);
  }

  // Runs all nodes; the inputs are in the first slots. Needs no lock, and may be called with it.
  void run(Environment& env) const {
    c10::AutoGradMode no_gradients(false);
    std::optional<at::AutoDispatchBelowADInplaceOrView> below(std::in_place);
    for (size_t i = 0; i < constants.size(); ++i) env.slots[inputs.size() + i] = constants[i];
    for (env.place = 0; env.place < nodes.size(); ++env.place) {
      const Node& node = nodes[env.place];
      if (node.op) {
        call_operator(env, node);
      } else {
        below.reset();
        call_python(env, node);
        below.emplace();
      }
    }
  }
};

// Gives the environment back when a call ends, well or badly.
struct Lease {
  Program& program;
  Environment& env;
  explicit Lease(Program& program) : program(program), env(*program.acquire()) {}
  ~Lease() { program.release(&env); }
  Lease(const Lease&) = delete;
};

// ---- The Python object -----------------------------------------------------------------------

struct Replay {
  PyObject_HEAD
  vectorcallfunc call;
  Program* program;
  PyObject* held;    // functions and constants of opaque nodes
  PyObject* failed;  // makes the exception to raise from what was raised and the node's place
};

// Raises what `failed` makes of the exception in flight.
void raise_from(Replay* self, const std::exception_ptr& error, size_t place) {
  bool python = false;
  try {
    std::rethrow_exception(error);
  } catch (python_error& raised) {
    python = true;
    raised.restore();
  } catch (py::error_already_set& raised) {
    python = true;
    raised.restore();
  } catch (...) {
    torch::translate_exception_to_python(std::current_exception());
  }
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace) PyException_SetTraceback(value, trace);
  PyObject* made = PyObject_CallFunction(
      self->failed, "OnO", value, static_cast<Py_ssize_t>(place), python ? Py_True : Py_False);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  Py_XDECREF(value);
  if (!made) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made)), made);
  Py_DECREF(made);
}

bool load_inputs(Replay* self, Environment& env, PyObject* const* args, size_t count) {
  const Program& program = *self->program;
  if (count != program.inputs.size()) {
    PyErr_Format(
        PyExc_TypeError, "the program takes %zu arguments, not %zu", program.inputs.size(), count);
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    if (!program.inputs[i]) {
      if (!THPVariable_Check(args[i])) {
        PyErr_Format(
            PyExc_TypeError, "argument %zu of the program is a tensor, not a %s", i,
            Py_TYPE(args[i])->tp_name);
        return false;
      }
      env.slots[i] = THPVariable_Unpack(args[i]);
    } else {
      env.slots[i] = torch::jit::toIValue(args[i], program.inputs[i], std::nullopt);
    }
  }
  return true;
}

PyObject* outputs_of(Replay* self, Environment& env) {
  const auto& outputs = self->program->outputs;
  Owned tuple(PyTuple_New(static_cast<Py_ssize_t>(outputs.size())));
  for (size_t i = 0; i < outputs.size(); ++i) {
    IValue value = env.take(outputs[i]);
    PyTuple_SET_ITEM(tuple.object, i, Owned(to_python(value)).release());
  }
  return tuple.release();
}

PyObject* replay_call(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  HANDLE_TH_ERRORS
  auto* self = reinterpret_cast<Replay*>(object);
  if (names && PyTuple_GET_SIZE(names)) {
    PyErr_SetString(PyExc_TypeError, "a program takes no arguments by name");
    return nullptr;
  }
  Lease lease(*self->program);
  if (!load_inputs(self, lease.env, args, PyVectorcall_NARGS(flags))) return nullptr;
  std::exception_ptr error;
  {
    WithoutLock unlocked;
    try {
      self->program->run(lease.env);
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (error) {
    raise_from(self, error, lease.env.place);
    return nullptr;
  }
  return outputs_of(self, lease.env);
  END_HANDLE_TH_ERRORS
}

// ---- Reading a program from tuples; native.py makes them --------------------------------------

PyObject* item(PyObject* tuple, Py_ssize_t i) {
  if (!PyTuple_Check(tuple) || i >= PyTuple_GET_SIZE(tuple))
    throw std::invalid_argument("the program is not described as replay.cpp reads it");
  return PyTuple_GET_ITEM(tuple, i);
}

size_t length(PyObject* tuple) {
  Py_ssize_t size = PyTuple_Size(tuple);
  if (size < 0) throw python_error();
  return static_cast<size_t>(size);
}

int64_t integer(PyObject* object) {
  int64_t value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred()) throw python_error();
  return value;
}

std::string text(PyObject* object) {
  const char* value = PyUnicode_AsUTF8(object);
  if (!value) throw python_error();
  return value;
}

std::vector<int32_t> slots_of(PyObject* tuple) {
  std::vector<int32_t> slots;
  for (size_t i = 0; i < length(tuple); ++i)
    slots.push_back(static_cast<int32_t>(integer(item(tuple, i))));
  return slots;
}

// A number where a tensor is meant takes no part in type promotion, as in Python.
IValue number_as_tensor(PyObject* object) {
  c10::Scalar number = torch::jit::toIValue(object, c10::NumberType::get(), std::nullopt).toScalar();
  auto to_tensor = c10::Dispatcher::singleton().findSchemaOrThrow("aten::scalar_tensor", "");
  torch::jit::Stack stack{number, number.type(), IValue(), c10::Device(c10::kCPU), IValue()};
  at::AutoDispatchBelowADInplaceOrView below;
  to_tensor.callBoxed(stack);
  stack[0].toTensor().unsafeGetTensorImpl()->set_wrapped_number(true);
  return stack[0];
}

c10::TypePtr without_optional(c10::TypePtr type) {
  auto optional = type->cast<c10::OptionalType>();
  return optional ? optional->getElementType() : type;
}

bool is_number(PyObject* object) {
  return PyLong_Check(object) || PyFloat_Check(object) || PyComplex_Check(object);
}

// A described argument is (kind, slot), (kConstant, object) or (kTensors, arguments). For an opaque
// node there is no type.
Arg read_arg(PyObject* described, const c10::TypePtr& type) {
  Arg arg;
  arg.kind = static_cast<Arg::Kind>(integer(item(described, 0)));
  PyObject* what = item(described, 1);
  if (arg.kind == Arg::kCopy || arg.kind == Arg::kMove) {
    arg.slot = static_cast<int32_t>(integer(what));
  } else if (arg.kind == Arg::kConstant) {
    arg.object = what;
    if (!type) return arg;
    const bool tensor = without_optional(type)->kind() == c10::TypeKind::TensorType;
    arg.constant = tensor && is_number(what) ? number_as_tensor(what)
                                             : torch::jit::toIValue(what, type, std::nullopt);
  } else {
    c10::TypePtr inside;
    arg.kind = Arg::kList;
    if (type) {
      inside = without_optional(type)->expectRef<c10::ListType>().getElementType();
      const bool optional = inside->kind() == c10::TypeKind::OptionalType;
      arg.kind = optional ? Arg::kOptionals : Arg::kTensors;
    }
    for (size_t i = 0; i < length(what); ++i)
      arg.items.push_back(read_arg(item(what, static_cast<Py_ssize_t>(i)), inside));
  }
  return arg;
}

// An operator is (name, overload, arguments by place, arguments by name, outputs, written); an
// opaque node is (function, names, arguments, None, outputs, written).
Node read_node(PyObject* described) {
  Node node;
  node.outs = slots_of(item(described, 4));
  node.written = slots_of(item(described, 5));
  PyObject* args = item(described, 2);
  PyObject* first = item(described, 0);
  if (!PyUnicode_Check(first)) {
    node.function = first;
    PyObject* names = item(described, 1);
    if (length(names)) node.names = names;
    for (size_t i = 0; i < length(args); ++i) node.args.push_back(read_arg(item(args, i), nullptr));
    return node;
  }
  node.op = c10::Dispatcher::singleton().findSchemaOrThrow(
      text(first).c_str(), text(item(described, 1)).c_str());
  const auto& schema = node.op->schema();
  PyObject* named = item(described, 3);
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    PyObject* given = i < length(args) ? item(args, static_cast<Py_ssize_t>(i))
                                       : PyDict_GetItemString(named, argument.name().c_str());
    if (given) {
      node.args.push_back(read_arg(given, argument.type()));
    } else if (argument.default_value()) {
      Arg arg;
      arg.constant = *argument.default_value();
      node.args.push_back(std::move(arg));
    } else {
      throw std::invalid_argument("no argument " + argument.name() + " for " + schema.name());
    }
  }
  node.single = schema.returns().size() == 1 && node.outs.size() == 1 &&
      schema.returns()[0].type()->kind() == c10::TypeKind::TensorType;
  return node;
}

// (inputs: whether each is a tensor, constants, slots, nodes, outputs)
std::unique_ptr<Program> read_program(PyObject* described) {
  auto program = std::make_unique<Program>();
  PyObject* inputs = item(described, 0);
  for (size_t i = 0; i < length(inputs); ++i)
    program->inputs.push_back(
        item(inputs, i) == Py_True ? nullptr : c10::TypePtr(c10::GeneratorType::get()));
  PyObject* constants = item(described, 1);
  for (size_t i = 0; i < length(constants); ++i)
    program->constants.emplace_back(THPVariable_Unpack(item(constants, i)));
  program->slots = static_cast<size_t>(integer(item(described, 2)));
  PyObject* nodes = item(described, 3);
  for (size_t i = 0; i < length(nodes); ++i) program->nodes.push_back(read_node(item(nodes, i)));
  PyObject* outputs = item(described, 4);
  for (size_t i = 0; i < length(outputs); ++i)
    program->outputs.push_back(read_arg(item(outputs, i), c10::NoneType::get()));
  return program;
}

PyObject* replay_new(PyTypeObject* type, PyObject* args, PyObject*) {
  HANDLE_TH_ERRORS
  PyObject *described, *failed;
  if (!PyArg_ParseTuple(args, "OO", &described, &failed)) return nullptr;
  auto program = read_program(described);
  Owned object(type->tp_alloc(type, 0));
  auto* self = reinterpret_cast<Replay*>(object.object);
  self->call = replay_call;
  self->program = program.release();
  self->held = Py_NewRef(described);
  self->failed = Py_NewRef(failed);
  return object.release();
  END_HANDLE_TH_ERRORS
}

int replay_traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<Replay*>(object);
  Py_VISIT(self->held);
  Py_VISIT(self->failed);
  return 0;
}

void replay_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  auto* self = reinterpret_cast<Replay*>(object);
  delete self->program;
  Py_XDECREF(self->held);
  Py_XDECREF(self->failed);
  Py_TYPE(object)->tp_free(object);
}

PyTypeObject ReplayType = {PyVarObject_HEAD_INIT(nullptr, 0)};

void make_type() {
  ReplayType.tp_name = "regluon_replay.Replay";
  ReplayType.tp_doc = "A program of torch operators that runs without Python.";
  ReplayType.tp_basicsize = sizeof(Replay);
  ReplayType.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL;
  ReplayType.tp_new = replay_new;
  ReplayType.tp_dealloc = replay_dealloc;
  ReplayType.tp_traverse = replay_traverse;
  ReplayType.tp_call = PyVectorcall_Call;
  ReplayType.tp_vectorcall_offset = offsetof(Replay, call);
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "regluon_replay", nullptr, -1, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_regluon_replay() {
  HANDLE_TH_ERRORS
  make_type();
  if (PyType_Ready(&ReplayType) < 0) return nullptr;
  Owned module(PyModule_Create(&definition));
  if (PyModule_AddObjectRef(module.object, "Replay", reinterpret_cast<PyObject*>(&ReplayType)) < 0)
    return nullptr;
  return module.release();
  END_HANDLE_TH_ERRORS
}
