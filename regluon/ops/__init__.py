"""What is computed: one record per operator, entered in the table by importing the families."""

from regluon.ops import math as math, slicing as slicing
