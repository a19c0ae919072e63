"""What a circuit contributes: a model and its controls over paired seeds."""

from .records import Audit as Audit
from .records import AuditConfig as AuditConfig
from .records import ModelResult as ModelResult
from .records import Unit as Unit
from .run import run_audit as run_audit
from .stored import read_audit as read_audit
from .stored import read_audit_config as read_audit_config
