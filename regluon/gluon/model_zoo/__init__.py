"""Networks that were published with their weights."""

from regluon.gluon.model_zoo import vision as vision
from regluon.gluon.model_zoo.class_names import class_names as class_names
from regluon.gluon.model_zoo.preprocessing import Preprocessing as Preprocessing
from regluon.gluon.model_zoo.store import WeightsNotFoundError as WeightsNotFoundError
