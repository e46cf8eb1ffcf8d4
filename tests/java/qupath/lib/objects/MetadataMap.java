package qupath.lib.objects;

import java.io.*;
import java.util.*;

public class MetadataMap implements Externalizable {
    private static final long serialVersionUID = 1L;
    public final Map<String, String> map = new LinkedHashMap<>();

    @Override
    public void writeExternal(ObjectOutput out) throws IOException {
        out.writeObject(Integer.valueOf(1));
        out.writeObject(map.keySet().toArray());
        out.writeObject(map.values().toArray());
    }

    @Override
    public void readExternal(ObjectInput in) throws IOException, ClassNotFoundException {
        in.readObject();
        Object[] keys = (Object[]) in.readObject(), texts = (Object[]) in.readObject();
        for (int i = 0; i < keys.length; i++) map.put((String) keys[i], (String) texts[i]);
    }
}
