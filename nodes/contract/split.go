package contract

// Split returns m in parts that keep to MaxConnections. Only NEWCONN and TERMCONN come in
// parts; the last part of a NEWCONN carries its Acknowledge, so that the answer means all.
func Split(m Message) []Message {
	switch m := m.(type) {
	case NEWCONN:
		var parts []Message
		for len(m.Connections) > MaxConnections {
			part := m
			part.Connections, m.Connections = m.Connections[:MaxConnections], m.Connections[MaxConnections:]
			part.Acknowledge = 0
			parts = append(parts, part)
		}
		return append(parts, m)
	case TERMCONN:
		var parts []Message
		for len(m.Connections) > MaxConnections {
			part := m
			part.Connections, m.Connections = m.Connections[:MaxConnections], m.Connections[MaxConnections:]
			parts = append(parts, part)
		}
		return append(parts, m)
	}
	return []Message{m}
}
