// Runs a straight-line program of torch operators without Python; native.py builds it and hands it
// the programs. Operators are called through torch's dispatcher with boxed arguments, below autograd
// and without the interpreter lock; only opaque nodes, which are Python functions, take it again.
#include <Python.h>

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include <atomic>
#include <cstring>
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

// ---- regluon::linear_row ----------------------------------------------------------------------

// Vectors of the compiler: it makes of them what the CPU has.
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t kLanes = 16;
constexpr int64_t kRows = 4;  // of the weight, at once: each is a chain of additions of its own

template <typename Vector>
Vector at(const float* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

inline float sum(const Lanes& lanes) {
  typedef float Eight __attribute__((vector_size(32)));
  typedef float Four __attribute__((vector_size(16)));
  const auto* part = reinterpret_cast<const float*>(&lanes);
  const Eight eight = at<Eight>(part) + at<Eight>(part + 8);
  const auto* rest = reinterpret_cast<const float*>(&eight);
  const Four four = at<Four>(rest) + at<Four>(rest + 4);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The products of `Count` neighbouring rows of a weight with one row of `size` numbers.
template <int Count>
inline void dots(const float* weight, const float* x, int64_t size, float* out) {
  Lanes even[Count] = {};
  Lanes odd[Count] = {};
  int64_t k = 0;
  for (; k + 2 * kLanes <= size; k += 2 * kLanes) {
    const Lanes first = at<Lanes>(x + k);
    const Lanes second = at<Lanes>(x + k + kLanes);
#pragma GCC unroll 4
    for (int row = 0; row < Count; ++row) {
      even[row] += at<Lanes>(weight + row * size + k) * first;
      odd[row] += at<Lanes>(weight + row * size + k + kLanes) * second;
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < Count; ++row) {
    float total = sum(even[row] + odd[row]);
    for (int64_t i = k; i < size; ++i) total += weight[row * size + i] * x[i];
    out[row] = total;
  }
}

struct Layer {
  const float *weight, *bias;
  int64_t in, out;
  bool relu;

  template <int Count>
  void rows(const float* x, float* y, int64_t count, int64_t n) const {
    for (int64_t row = 0; row < count; ++row) {
      float* to = y + row * out + n;
      dots<Count>(weight + n * in, x + row * in, in, to);
      for (int i = 0; i < Count; ++i) {
        if (bias) to[i] += bias[n + i];
        if (relu) to[i] = to[i] < 0 ? 0 : to[i];  // NaN stays
      }
    }
  }

  void run(const float* x, float* y, int64_t count) const {
    int64_t n = 0;
    for (; n + kRows <= out; n += kRows) rows<kRows>(x, y, count, n);
    for (; n < out; ++n) rows<1>(x, y, count, n);
  }
};

constexpr int64_t kFewRows = 4;
constexpr int64_t kManyWeights = 1 << 20;  // worth several threads, which torch's kernel uses

bool plain(const Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == c10::kStrided && !tensor.is_neg() &&
      tensor.scalar_type() == c10::ScalarType::Float && tensor.is_contiguous();
}

bool by_hand(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  if (!plain(x) || !plain(weight) || x.dim() < 1 || weight.dim() != 2) return false;
  if (bias && bias->defined() && (!plain(*bias) || bias->dim() != 1)) return false;
  if (bias && bias->defined() && bias->size(0) != weight.size(0)) return false;
  const int64_t in = weight.size(1);
  if (x.size(-1) != in || in == 0 || x.numel() > kFewRows * in) return false;
  return weight.numel() < kManyWeights || at::get_num_threads() == 1;
}

Tensor linear_row(
    const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, bool relu) {
  if (!by_hand(x, weight, bias)) {
    static auto linear =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("aten::linear", "")
            .typed<Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&)>();
    const Tensor result = linear.call(x, weight, bias);
    return relu ? result.relu() : result;
  }
  c10::SmallVector<int64_t, 4> shape(x.sizes().begin(), x.sizes().end());
  shape.back() = weight.size(0);
  Tensor result(at::detail::empty_cpu(shape, c10::ScalarType::Float));
  const bool biased = bias && bias->defined();
  const Layer layer{
      static_cast<const float*>(weight.const_data_ptr()),
      biased ? static_cast<const float*>(bias->const_data_ptr()) : nullptr,
      weight.size(1), weight.size(0), relu};
  layer.run(
      static_cast<const float*>(x.const_data_ptr()),
      static_cast<float*>(result.mutable_data_ptr()), x.numel() / weight.size(1));
  return result;
}

void register_operators() {
  if (c10::Dispatcher::singleton().findSchema({"regluon::linear_row", ""})) return;
  static torch::Library library(
      torch::Library::FRAGMENT, "regluon", std::nullopt, __FILE__, __LINE__);
  library.def("linear_row(Tensor x, Tensor weight, Tensor? bias, bool relu) -> Tensor");
  library.impl(
      "linear_row", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, linear_row));
}

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

// Fills the first slots from the arguments; says no with a Python exception set.
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

PyObject* outputs_of(Replay* self, Environment& env, size_t count) {
  const auto& outputs = self->program->outputs;
  Owned tuple(PyTuple_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; i < count; ++i)
    PyTuple_SET_ITEM(tuple.object, i, Owned(to_python(env.take(outputs[i]))).release());
  return tuple.release();
}

// Runs the program with the interpreter lock released; says no with a Python exception set.
bool run_unlocked(Replay* self, Environment& env) {
  std::exception_ptr error;
  {
    WithoutLock unlocked;
    try {
      self->program->run(env);
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (error) raise_from(self, error, env.place);
  return !error;
}

bool no_names(PyObject* names) {
  if (!names || !PyTuple_GET_SIZE(names)) return true;
  PyErr_SetString(PyExc_TypeError, "a program takes no arguments by name");
  return false;
}

PyObject* replay_call(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  HANDLE_TH_ERRORS
  auto* self = reinterpret_cast<Replay*>(object);
  if (!no_names(names)) return nullptr;
  Lease lease(*self->program);
  if (!load_inputs(self, lease.env, args, PyVectorcall_NARGS(flags))) return nullptr;
  if (!run_unlocked(self, lease.env)) return nullptr;
  return outputs_of(self, lease.env, self->program->outputs.size());
  END_HANDLE_TH_ERRORS
}

// ---- A pair of programs in torch's graph ------------------------------------------------------

struct Bridge {
  PyObject_HEAD
  vectorcallfunc call;
  Replay* forward;
  Replay* backward;
  PyObject* again;
  std::vector<int32_t>* needed;   // inputs, the first arguments of the backward program
  std::vector<int32_t>* reused;   // results, the next; then all further outputs of the forward one
  std::vector<int32_t>* seeded;   // results whose gradients are its last arguments
  std::vector<int32_t>* watched;  // inputs, then results, whose memory the further outputs share
  size_t count;                   // of results
};

using torch::autograd::variable_list;

// The same memory and version counter without a place in torch's graph.
Tensor alias_of(const Tensor& tensor) {
  auto* impl = tensor.unsafeGetTensorImpl();
  return Tensor(impl->shallow_copy_and_detach(impl->version_counter(), false));
}

struct Saved {
  IValue value;
  uint32_t version = 0;

  explicit Saved(IValue&& given) : value(std::move(given)) { version = current(); }

  uint32_t current() const {
    if (!value.isTensor() || value.toTensor().is_inference()) return 0;
    return value.toTensor().unsafeGetTensorImpl()->version_counter().current_version();
  }

  void check() const {
    if (current() == version) return;
    const Tensor& tensor = value.toTensor();
    TORCH_CHECK(
        false,
        "one of the variables needed for gradient computation has been modified by an inplace "
        "operation: [", tensor.toString(), " ", tensor.sizes(), "] is at version ", current(),
        "; expected version ", version, " instead.");
  }
};

// One call of a bridge: where backward() finds what the forward program left.
struct Pass : torch::autograd::Node {
  Bridge* bridge;
  std::vector<Saved> inputs;
  std::vector<Saved> saved;  // `needed`, `reused`, `watched`
  std::vector<IValue> extras;
  bool released = false;
  bool last = false;  // nobody looks at what was saved after the next apply()

  explicit Pass(Bridge* bridge) : bridge(bridge) { Py_INCREF(bridge); }

  ~Pass() override {
    if (!Py_IsInitialized()) return;
    WithLock lock;
    Py_DECREF(bridge);
  }

  std::string name() const override { return "CompiledBackward"; }

  void will_release_variables() override { last = true; }

  void release_variables() override {
    std::lock_guard<std::mutex> guard(mutex_);
    released = true;
    inputs.clear();
    saved.clear();
    extras.clear();
  }

  variable_list apply(variable_list&& seeds) override {
    std::lock_guard<std::mutex> guard(mutex_);
    TORCH_CHECK(!released, torch::autograd::ERR_BACKWARD_TWICE);
    for (const Saved& one : saved) one.check();
    if (c10::GradMode::is_enabled()) return call_again(seeds);
    if (!only_seeded(seeds)) {
      c10::AutoGradMode with_gradients(true);
      variable_list found = call_again(seeds);
      for (Tensor& gradient : found)
        if (gradient.defined()) gradient = alias_of(gradient);
      return found;
    }
    return replayed(seeds);
  }

  // Whether gradients came in for the same results as when the backward program was made.
  bool only_seeded(const variable_list& seeds) const {
    size_t defined = 0;
    size_t expected = 0;
    for (const Tensor& seed : seeds) defined += seed.defined();
    for (int32_t place : *bridge->seeded) expected += seeds[place].defined();
    return defined == expected && expected == bridge->seeded->size();
  }

  variable_list replayed(const variable_list& seeds) {
    Program& program = *bridge->backward->program;
    Lease lease(program);
    auto slot = lease.env.slots.begin();
    const size_t handed = bridge->needed->size() + bridge->reused->size();
    for (size_t i = 0; i < handed; ++i) *slot++ = saved[i].value;
    for (IValue& extra : extras) *slot++ = last ? std::move(extra) : extra;
    for (int32_t place : *bridge->seeded) {
      *slot++ = seeds[place].contiguous();
    }
    try {
      program.run(lease.env);
    } catch (...) {
      WithLock lock;
      raise_from(bridge->backward, std::current_exception(), lease.env.place);
      python_error error;
      error.persist();
      throw error;
    }
    variable_list found(num_outputs());
    for (size_t i = 0; i < program.outputs.size(); ++i) {
      IValue gradient = lease.env.take(program.outputs[i]);
      if (gradient.isTensor()) found[i] = gradient.toTensor();
    }
    return found;
  }

  // Gradients that can be differentiated: the Python function makes them.
  variable_list call_again(const variable_list& seeds) {
    WithLock lock;
    try {
      Owned given(PyTuple_New(static_cast<Py_ssize_t>(inputs.size())));
      for (size_t i = 0; i < inputs.size(); ++i)
        PyTuple_SET_ITEM(given.object, i, Owned(to_python(inputs[i].value)).release());
      Owned wanted(PyTuple_New(static_cast<Py_ssize_t>(seeds.size())));
      for (size_t i = 0; i < seeds.size(); ++i)
        PyTuple_SET_ITEM(wanted.object, i, Owned(to_python(seeds[i])).release());
      Owned changed(PyList_New(0));
      for (size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].current() != inputs[i].version &&
            PyList_Append(changed.object, Owned(PyLong_FromSize_t(i)).object) < 0)
          throw python_error();
      Owned result(PyObject_CallFunctionObjArgs(
          bridge->again, given.object, wanted.object, changed.object, nullptr));
      Owned items(PySequence_Fast(result.object, "the gradients are no sequence"));
      variable_list found(num_outputs());
      const auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(items.object));
      for (size_t i = 0; i < std::min(count, found.size()); ++i) {
        PyObject* gradient = PySequence_Fast_GET_ITEM(items.object, i);
        if (gradient != Py_None) found[i] = py::cast<Tensor>(py::handle(gradient));
      }
      return found;
    } catch (python_error& error) {
      error.persist();
      throw;
    }
  }
};

// Makes the results part of torch's graph and keeps what the backward program needs.
void record(Bridge* self, Environment& env, std::vector<IValue>&& inputs) {
  auto pass = c10::make_intrusive<Pass>(self);
  torch::autograd::edge_list edges(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].isTensor() && inputs[i].toTensor().requires_grad())
      edges[i] = torch::autograd::impl::gradient_edge(inputs[i].toTensor());
  pass->set_next_edges(std::move(edges));
  const auto& outputs = self->forward->program->outputs;
  for (size_t i = 0; i < self->count; ++i) {
    IValue& value = env.slots[outputs[i].slot];
    if (outputs[i].kind == Arg::kConstant || !value.toTensor().defined()) {
      pass->add_input_metadata(torch::autograd::Node::undefined_input());
      continue;
    }
    bool given = value.toTensor().requires_grad();  // an input, or the result a second time
    for (const IValue& input : inputs) given |= input.isTensor() && input.is(value);
    if (given) value = alias_of(value.toTensor());
    const Tensor& result = value.toTensor();
    const uint32_t place = pass->add_input_metadata(result);
    if (torch::autograd::isDifferentiableType(result.scalar_type()))
      torch::autograd::impl::set_gradient_edge(result, {pass, place});
  }
  auto save_result = [&](size_t place) {
    pass->saved.emplace_back(alias_of(env.slots[outputs[place].slot].toTensor()));
  };
  for (int32_t place : *self->needed) pass->saved.emplace_back(IValue(inputs[place]));
  for (int32_t place : *self->reused) save_result(place);
  for (size_t place : *self->watched) {
    if (place < inputs.size()) {
      pass->saved.emplace_back(IValue(inputs[place]));
    } else {
      save_result(place - inputs.size());
    }
  }
  for (size_t i = self->count; i < outputs.size(); ++i) {
    const IValue& extra = env.slots[outputs[i].slot];
    const bool result = extra.isTensor() && extra.toTensor().requires_grad();
    pass->extras.push_back(result ? IValue(alias_of(extra.toTensor())) : extra);
  }
  for (IValue& input : inputs) pass->inputs.emplace_back(std::move(input));
}

PyObject* bridge_call(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  HANDLE_TH_ERRORS
  auto* self = reinterpret_cast<Bridge*>(object);
  if (!no_names(names)) return nullptr;
  Lease lease(*self->forward->program);
  Environment& env = lease.env;
  const size_t count = PyVectorcall_NARGS(flags);
  if (!load_inputs(self->forward, env, args, count)) return nullptr;
  bool recording = false;
  if (c10::GradMode::is_enabled())
    for (size_t i = 0; i < count; ++i)
      recording |= env.slots[i].isTensor() && env.slots[i].toTensor().requires_grad();
  std::vector<IValue> inputs;
  if (recording) inputs.assign(env.slots.begin(), env.slots.begin() + count);
  if (!run_unlocked(self->forward, env)) return nullptr;
  if (recording) record(self, env, std::move(inputs));
  return outputs_of(self->forward, env, self->count);
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

std::vector<int32_t>* new_slots(PyObject* tuple) {
  return new std::vector<int32_t>(slots_of(tuple));
}

int bridge_traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<Bridge*>(object);
  Py_VISIT(self->forward);
  Py_VISIT(self->backward);
  Py_VISIT(self->again);
  return 0;
}

void bridge_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  auto* self = reinterpret_cast<Bridge*>(object);
  Py_XDECREF(self->forward);
  Py_XDECREF(self->backward);
  Py_XDECREF(self->again);
  delete self->needed;
  delete self->reused;
  delete self->seeded;
  delete self->watched;
  Py_TYPE(object)->tp_free(object);
}

PyTypeObject ReplayType = {PyVarObject_HEAD_INIT(nullptr, 0)};
PyTypeObject BridgeType = {PyVarObject_HEAD_INIT(nullptr, 0)};

// (forward, backward, again, (needed, reused, seeded, watched), count)
PyObject* bridge_new(PyTypeObject* type, PyObject* args, PyObject*) {
  HANDLE_TH_ERRORS
  PyObject *forward, *backward, *again, *places;
  Py_ssize_t count;
  if (!PyArg_ParseTuple(
          args, "O!O!OOn", &ReplayType, &forward, &ReplayType, &backward, &again, &places, &count))
    return nullptr;
  Owned object(type->tp_alloc(type, 0));
  auto* self = reinterpret_cast<Bridge*>(object.object);
  self->call = bridge_call;
  self->forward = reinterpret_cast<Replay*>(Py_NewRef(forward));
  self->backward = reinterpret_cast<Replay*>(Py_NewRef(backward));
  self->again = Py_NewRef(again);
  self->count = static_cast<size_t>(count);
  self->needed = new_slots(item(places, 0));
  self->reused = new_slots(item(places, 1));
  self->seeded = new_slots(item(places, 2));
  self->watched = new_slots(item(places, 3));
  const auto& inputs = self->forward->program->inputs;
  const size_t outputs = self->forward->program->outputs.size();
  const size_t handed = self->needed->size() + self->reused->size() + self->seeded->size();
  if (self->count > outputs ||
      handed + outputs - self->count != self->backward->program->inputs.size() ||
      self->backward->program->outputs.size() > inputs.size())
    throw std::invalid_argument("the backward program does not fit the forward program");
  return object.release();
  END_HANDLE_TH_ERRORS
}

void make_type(PyTypeObject& type, const char* name, Py_ssize_t size, Py_ssize_t call) {
  type.tp_name = name;
  type.tp_basicsize = size;
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL;
  type.tp_call = PyVectorcall_Call;
  type.tp_vectorcall_offset = call;
}

void make_types() {
  make_type(ReplayType, "regluon_replay.Replay", sizeof(Replay), offsetof(Replay, call));
  ReplayType.tp_doc = "A program of torch operators that runs without Python.";
  ReplayType.tp_new = replay_new;
  ReplayType.tp_dealloc = replay_dealloc;
  ReplayType.tp_traverse = replay_traverse;
  make_type(BridgeType, "regluon_replay.Bridge", sizeof(Bridge), offsetof(Bridge, call));
  BridgeType.tp_doc = "A forward and a backward program as one function in torch's graph.";
  BridgeType.tp_new = bridge_new;
  BridgeType.tp_dealloc = bridge_dealloc;
  BridgeType.tp_traverse = bridge_traverse;
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "regluon_replay", nullptr, -1, nullptr};

void add_type(PyObject* module, const char* name, PyTypeObject& type) {
  if (PyType_Ready(&type) < 0) throw python_error();
  if (PyModule_AddObjectRef(module, name, reinterpret_cast<PyObject*>(&type)) < 0)
    throw python_error();
}

}  // namespace

PyMODINIT_FUNC PyInit_regluon_replay() {
  HANDLE_TH_ERRORS
  make_types();
  register_operators();
  Owned module(PyModule_Create(&definition));
  add_type(module.object, "Replay", ReplayType);
  add_type(module.object, "Bridge", BridgeType);
  return module.release();
  END_HANDLE_TH_ERRORS
}
