"""derive() and what it answers with."""

from __future__ import annotations

from typing import Any
from ..naming import user_frame
from ..node import Node, check_fresh
from . import expr
from .assume import found_in
from .graph import Graph
from .matrix import to_matrix, with_ones
from .show import Writer, helper
from .steps import Deriver
from .verify import Points, run, same

class Derivation: pass

def derive(E, wrt=None, assume=None, dims=None, opaque=()):
    expr.start()
    graph = Graph(E, user_frame(), opaque, dims or {})
    assumptions = found_in(graph) if assume is None else assume
    targets = [wrt] if wrt is not None else [n for n in graph.nodes if n.active and n.id in graph.names]
    d = Deriver(graph, assumptions, targets)
    out = d.steps()
    dims = graph.all_dims()
    pts = Points(graph, assumptions, targets)
    for s in out:
        own = [(i, x) for i, x in enumerate(graph.axes[s.node.id]) if x]
        want = tuple(i for i,_ in own)
        for p, label in ((s.closed, ""), (s.plain, "plain ")):
            if p is None: continue
            M_ = with_ones(to_matrix(p, want), own)
            T = Writer(dims, True, "E"); 
            print(label, s.name, "=", T.write(M_), "   using", [str(a) for a in s.used])
            W = Writer(dims, False, "E"); src = W.write(M_, tuple(i if x else None for i, x in enumerate(graph.axes[s.node.id])))
            pre = [helper(h) for h in W.helpers] + [f"{k} = {graph.sizes[k]}" for k in W.sizes]
            print("      ", src, W.sizes)
            if p is s.closed:
              for v in pts.values:
                r = run("\n".join(pre + ["r = " + src]), "r", v)
                if not same(r, v["∂"+s.name], False): print("!!!!", r, v["∂"+s.name])
    return out
