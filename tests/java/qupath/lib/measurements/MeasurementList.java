package qupath.lib.measurements;

import java.io.Serializable;
import java.util.*;

public interface MeasurementList extends Serializable {
    Map<String, Double> asMap();

    static MeasurementList of(boolean numeric, Map<String, Double> values) {
        if (numeric) return new NumericMeasurementList.DoubleList(values);
        DefaultMeasurementList found = new DefaultMeasurementList();
        values.forEach((name, value) -> found.list.add(new DoubleMeasurement(name, value)));
        return found;
    }
}

interface Measurement extends Serializable {}

class DoubleMeasurement implements Measurement {
    private static final long serialVersionUID = 1L;
    final String name;
    final double value;

    DoubleMeasurement(String name, double value) {
        this.name = name;
        this.value = value;
    }
}

class DefaultMeasurementList implements MeasurementList {
    private static final long serialVersionUID = 1L;
    ArrayList<Measurement> list = new ArrayList<>();

    @Override
    public Map<String, Double> asMap() {
        Map<String, Double> found = new LinkedHashMap<>();
        for (Measurement one : list)
            found.put(((DoubleMeasurement) one).name, ((DoubleMeasurement) one).value);
        return found;
    }
}

class NumericMeasurementList {
    private abstract static class AbstractNumericMeasurementList implements MeasurementList {
        private static final long serialVersionUID = 1L;
        List<String> names;
        boolean isClosed = true;
        Map<String, Integer> map = new HashMap<>();
    }

    static class DoubleList extends AbstractNumericMeasurementList {
        private static final long serialVersionUID = 1L;
        private double[] values;

        DoubleList(Map<String, Double> given) {
            names = Collections.unmodifiableList(new ArrayList<>(given.keySet()));
            values = given.values().stream().mapToDouble(Double::doubleValue).toArray();
            for (String name : names) map.put(name, map.size());
        }

        @Override
        public Map<String, Double> asMap() {
            Map<String, Double> found = new LinkedHashMap<>();
            for (int i = 0; i < values.length; i++) found.put(names.get(i), values[i]);
            return found;
        }
    }
}
