class StandinCore:
    name = "standin_core"
    label = "core"
