"""Whether what a model file imports is known to be harmless, known to be not, or neither."""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["safe", "unknown", "dangerous"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PREFERRED = "store the model as ONNX, skops or XGBoost's own JSON"
_HARMLESS: dict[str, frozenset[str]] = {
    "builtins": _words(
        "bool bytearray bytes complex dict float frozenset int list object range set slice str type"
        " tuple NotImplemented Ellipsis Exception ValueError TypeError KeyError"
    ),
    "copyreg": frozenset({"_reconstructor", "__newobj__", "__newobj_ex__"}),
    "_codecs": frozenset({"encode"}),
    "collections": _words("Counter OrderedDict defaultdict deque"),
    "datetime": _words("date datetime time timedelta timezone"),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "uuid": frozenset({"UUID", "SafeUUID"}),
    "zoneinfo": frozenset({"ZoneInfo", "ZoneInfo._unpickle"}),
    "pathlib": _words("PosixPath PurePosixPath PureWindowsPath WindowsPath"),
    "joblib.numpy_pickle": frozenset({"NumpyArrayWrapper"}),
    "numpy": _words(
        "dtype ndarray matrix bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64"
        " float16 float32 float64 complex64 complex128 str_ bytes_ datetime64 timedelta64 recarray"
        " log log1p log2 log10 exp expm1 sqrt square abs absolute mean median sum min max"
    ),
    "pandas._libs.internals": frozenset({"_unpickle_block"}),
    "pandas._libs.arrays": frozenset({"__pyx_unpickle_NDArrayBacked"}),
    "pandas._libs.tslibs.timestamps": frozenset({"_unpickle_timestamp"}),
    "pandas._libs.tslibs.timedeltas": frozenset({"_timedelta_unpickle"}),
    "pandas.core.indexes.base": frozenset({"_new_Index", "Index"}),
    "pandas.core.indexes.datetimes": frozenset({"_new_DatetimeIndex", "DatetimeIndex"}),
    "torch._utils": _words(
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_parameter _rebuild_qtensor"
    ),
    "torch": _words(
        "Size dtype device FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage"
        " IntStorage ShortStorage CharStorage ByteStorage BoolStorage Tensor"
    ),
    "torch.storage": frozenset({"UntypedStorage", "TypedStorage"}),
    "torch.nn.parameter": frozenset({"Parameter"}),
    "xgboost.core": frozenset({"Booster"}),
}
_NUMPY = re.compile(
    r"numpy\.(_core|core)\.(multiarray|numeric)|numpy\.random\.(_\w+|mtrand|bit_generator)"
    r"|numpy\.ma\.core|numpy\.rec|numpy\.dtypes"
)
_NUMPY_NAMES = re.compile(
    r"_reconstruct|scalar|_frombuffer|ndarray|dtype|__\w+_ctor|_mareconstruct|MaskedArray|recarray"
    r"|__pyx_unpickle_\w+|[A-Z][A-Za-z0-9]*(DType)?"
)
_CLASSES_OF = re.compile(
    r"(sklearn|xgboost|lightgbm|pandas\.core|pandas\._libs|scipy\.(sparse|stats|spatial|interpolate)"
    r"|imblearn|sklego|category_encoders|skops\.io)(\.\w+)*"
)
_FUNCTIONS_OF = re.compile(r"sklearn\.(metrics|feature_selection|preprocessing|kernel)(\.\w+)*")
_CLASS = re.compile(r"_{0,2}(pyx_unpickle_)?[A-Z][A-Za-z0-9]*")
_FUNCTION = re.compile(r"_?[a-z][a-z0-9_]*")
_INTERNAL = re.compile(
    r"(^|\.)_?(test|tests|testing|externals|datasets|computation|f2py|distutils)(\.|$)"
)
_DANGEROUS_NAMES = _words(
    "__import__ breakpoint call check_call check_output compile delattr eval exec execfile"
    " fork getattr globals import_module input locals open popen Popen remove rmtree run run_path"
    " run_module runcode runstring setattr spawn startfile system unlink vars"
)
_DANGEROUS_MODULES = _words(
    "_io _pickle _posixsubprocess _thread _winapi asyncio atexit bdb builtins code codeop commands"
    " cProfile concurrent ctypes dill distutils doctest ensurepip fcntl ftplib functools gc http"
    " idlelib imp importlib inspect io lib2to3 linecache marshal mmap msvcrt multiprocessing nt"
    " operator os pdb pickle pip pkgutil platform posix profile pty pydoc requests resource runpy"
    " select setuptools shelve shutil signal site smtplib socket socketserver sqlite3 ssl"
    " subprocess sys sysconfig tarfile telnetlib tempfile test threading timeit trace types"
    " unittest urllib urllib3 venv webbrowser winreg xmlrpc zipfile zipimport"
)
_HARMLESS["functools"] = frozenset({"partial"})
_HARMLESS["operator"] = frozenset({"itemgetter"})
_HARMLESS["types"] = frozenset({"SimpleNamespace"})
_LOADERS = {
    ("joblib", "load"),
    ("joblib.numpy_pickle", "load"),
    ("numpy", "load"),
    ("numpy", "fromregex"),
    ("numpy", "save"),
    ("numpy", "savez"),
    ("numpy", "memmap"),
    ("pandas", "eval"),
    ("pandas", "read_pickle"),
    ("pandas.io.pickle", "read_pickle"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("numpy._core", "_ufunc_reconstruct"),
    ("numpy.core", "_ufunc_reconstruct"),
}


def judge(module: str, name: str) -> tuple[Verdict, str]:
    """Say what is known of importing and calling ``module.name``, and why; empty for what is safe.

    A name with dots reaches through other objects, and a module may hold what it imported itself;
    so only names on the lists, and classes of known libraries, are safe.

    Examples
    --------
    >>> judge("sklearn.linear_model._base", "LinearRegression")[0]
    'safe'
    >>> judge("posix", "system")[0]
    'dangerous'
    """
    if name in _HARMLESS.get(module, ()) and (module, name) not in _LOADERS:
        return "safe", ""
    if "(" in module or "(" in name:
        return _computed(module)
    top = module.partition(".")[0]
    last = name.rpartition(".")[2]
    if top in {"cloudpickle", "dill"}:
        return "dangerous", f"carries code of its own; {_PREFERRED}"
    if top in _DANGEROUS_MODULES or last in _DANGEROUS_NAMES or (module, name) in _LOADERS:
        return "dangerous", "runs code, or reaches files, processes or the network"
    if "." not in name and not _INTERNAL.search(module) and _is_of_a_library(module, name):
        return "safe", ""
    return "unknown", f"{top} is imported; look at what it does"


def _computed(what: str) -> tuple[Verdict, str]:
    if what == "(extension registry)":
        return "unknown", "means what the process that loads it has registered for the number"
    return "dangerous", "its name is only computed while it is loaded"


def _is_of_a_library(module: str, name: str) -> bool:
    if _NUMPY.fullmatch(module) and _NUMPY_NAMES.fullmatch(name):
        return True
    if _CLASSES_OF.fullmatch(module) and _CLASS.fullmatch(name):
        return True
    return bool(_FUNCTIONS_OF.fullmatch(module) and _FUNCTION.fullmatch(name))
